"""The stager: offers scheduled jobs whose time has come; any number, no leader."""

import random
from typing import Protocol

from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Route, Router
from failsoft.job_engine.policies.queue import profile_or_default
from failsoft.job_engine.ports.clock import BLOCKED_PAUSE
from failsoft.job_engine.ports.ledger import OfferLedger, RescueLedger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.telemetry import Event, Listener

#: How many due jobs one look handles.
BATCH = 100


class SchedulerLedger(RescueLedger, OfferLedger, Protocol):
    """What the stager needs of the ledger."""


class Stager:
    """Turn what is due into offers: delays, retries, sleeps and parked jobs."""

    def __init__(
        self,
        ledger: SchedulerLedger,
        router: Router,
        offerer: Offerer,
        *,
        listener: Listener,
        rng: random.Random | None = None,
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._offerer = offerer
        self._listener = listener
        self._rng = rng or random.Random()

    def tick(self) -> int:
        """Offer what is due; return how many jobs were handled.

        Raises:
            LedgerUnavailableError: The ledger is away.
        """
        if not self._router.has_usable:
            return 0
        due = list(self._ledger.due(BATCH, self._router.reach()))
        # Stagers that look at the same moment begin with different jobs of one priority.
        self._rng.shuffle(due)
        due.sort(key=lambda job: -job.priority)
        return sum(self._offer(job) for job in due)

    def _offer(self, job: JobRecord) -> bool:
        route = self._router.route(job, epoch=job.epoch + 1)
        if not route.order:
            # So that the next look sees others that are due, and this one soon after.
            self._ledger.postpone(job, BLOCKED_PAUSE)
            return True
        queue = profile_or_default(job.queue)
        moved = self._ledger.offer(job, OfferPlan(route.order[0], queue.pickup, _why(route)))
        if moved is None:
            return False
        changed = moved.handoffs > job.handoffs
        detail = {"from": job.engine, "cause": "resume"} if changed else {}
        self._listener(Event.of(moved, "job.offer", **detail))
        self._offerer.carry(moved, route.order[1:], queue)
        return True


def _why(route: Route) -> str:
    return f"due; {route.by_rule}" if route.by_rule else "due"
