"""The hand-over in bulk of what waits at an engine that is known to be dead (rule 29)."""

from collections.abc import Sequence
from datetime import timedelta

from failsoft.dispatcher.maintenance.mover import Move, Mover
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.policies.queue import profile_or_default
from failsoft.job_engine.ports.hand_over import HandOverLedger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.telemetry import Event, Listener

#: How many jobs one commit hands over.
BATCH = 500
#: How long one look hands over at most: the same thread recovers lost leases, too.
AT_A_TIME = timedelta(seconds=2)
#: A job that changed engine this often stays where it is (rule 18).
MAX_HANDOFFS = 10

KNOWN_DEAD = "its engine is known to be dead"


class Evacuation:
    """Hand over everything that waits, without a token bucket: none of it was to be claimed there.

    Any number of rescuers do it beside each other: each commit moves what is still as it was
    seen, and the next read finds what is left.
    """

    def __init__(
        self, ledger: HandOverLedger, router: Router, offerer: Offerer, listener: Listener
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._clock = offerer.clock
        self._listener = listener
        self._mover = Mover(ledger, offerer)

    def run(self, engine: str, queue: str) -> None:
        """Hand over what waits in a queue of an engine to engines with live workers."""
        to = [each for each in self._router.allowed(()) if self._router.serves(each, queue)]
        ends = self._clock.steady() + AT_A_TIME.total_seconds()
        while to and self._clock.steady() < ends:
            found = self._ledger.movable(engine, queue, BATCH, to=to, handoffs_below=MAX_HANDOFFS)
            if not found:
                return
            self._move(found, engine, queue)
            to = [each for each in to if self._router.serves(each, queue)]

    def _move(self, found: Sequence[JobRecord], engine: str, queue: str) -> None:
        profile = profile_or_default(queue)
        routes = ((job, self._router.route(job, epoch=job.epoch + 1)) for job in found)
        moves = (
            (job, Move(OfferPlan(route.order[0], profile.pickup, KNOWN_DEAD), route.order[1:]))
            for job, route in routes
            if route.order
        )
        for move, moved in self._mover.move(profile, moves):
            detail = {"from": engine, "jobs": len(moved), "reason": KNOWN_DEAD}
            detail |= {"cause": "unavailable"}
            event = Event("engine.evacuated", queue=queue, engine=move.plan.engine, detail=detail)
            self._listener(event)
