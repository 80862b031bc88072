"""Offers that were not claimed by their pickup deadline: one look a queue, not a job (rule 14)."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Protocol

from failsoft.dispatcher.maintenance.evacuation import MAX_HANDOFFS
from failsoft.dispatcher.maintenance.known_dead import Lane
from failsoft.dispatcher.maintenance.missed_pickup import MissedPickup, PickupFinding
from failsoft.dispatcher.maintenance.mover import Move, Mover
from failsoft.dispatcher.maintenance.token_bucket import TokenBucket
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.policies.queue import QueueProfile, declared_queues, profile_or_default
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.ports.hand_over import HandOverLedger
from failsoft.job_engine.ports.ledger import OfferLedger, RescueLedger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.pauses import pause_of
from failsoft.job_engine.records.routing.guard import GETS_NO_OFFERS
from failsoft.job_engine.telemetry import Event, Listener

#: How many late offers of an engine and a queue one look sees.
BATCH = 100
#: How many hand-overs a lost message or a long queue may cause; the others are kept for deaths.
HANDOFFS_OF_CHOICE = MAX_HANDOFFS // 2
#: The longest pause between two looks at an offer that waits in a long queue.
LONGEST_PATIENCE = timedelta(minutes=10)
#: The longest pause with an engine that loses messages, or that no worker serves any more.
SHORT_PATIENCE = timedelta(minutes=1)
#: How many jobs a second may be moved to another engine that may yet be claimed, and how many at
#: once.
MOVES_PER_SECOND = 50
MOVES_AT_ONCE = 200

LATE = "not picked up in time"
PACED = f"{LATE}; at a limited rate"


class LateOfferLedger(
    RescueLedger,
    OfferLedger,
    HandOverLedger,
    ControlLedger,
    Protocol,
):
    """What is needed of the ledger."""


class LateOffers:
    """Find out why offers were not claimed in time, and offer again what is lost or stranded.

    While offers of a queue are claimed, those behind them only wait, and are not looked into. Only
    an offer that later ones have overtaken is, and the first of a queue that stands still.
    """

    def __init__(
        self, ledger: LateOfferLedger, router: Router, offerer: Offerer, listener: Listener
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._clock = clock = offerer.clock
        self._listener = listener
        self._mover = Mover(ledger, offerer)
        self._moves = TokenBucket(MOVES_PER_SECOND, MOVES_AT_ONCE, clock)
        self._deserted: frozenset[Lane] = frozenset()
        self._emptied_at = clock.steady()
        #: Engines and queues in which offers wait whose next look is far off.
        self._patient: set[Lane] = set()
        #: What was late at the last look, the first first.
        self._late: dict[Lane, list[tuple[str, int]]] = {}
        #: What had been overtaken at the last look at which the queue moved.
        self._overtaken: dict[Lane, frozenset[str]] = {}
        #: Until when the first of a queue is known to wait.
        self._rests: dict[Lane, float] = {}

    def look(self, inquiry: MissedPickup) -> None:
        """Look once.

        Raises:
            LedgerUnavailableError: The ledger is away.
        """
        self._hasten_deserted()
        unclaimed = self._ledger.unclaimed(BATCH, self._router.reach())
        pauses = self._ledger.pauses() if unclaimed else ()
        self._hasten_emptied(inquiry)
        before, self._late = self._late, {}
        for lane, late in groupby(unclaimed, key=_lane):
            free = list[JobRecord]()
            for job in late:
                pause = pause_of(job, pauses)
                if pause is None:
                    free.append(job)
                else:
                    self._set_aside(job, str(pause))
            if free:
                self._look_at(lane, free, before.get(lane, ()), inquiry)
        self._rests = {lane: end for lane, end in self._rests.items() if lane in self._late}

    def _look_at(
        self,
        lane: Lane,
        late: Sequence[JobRecord],
        before: Sequence[tuple[str, int]],
        inquiry: MissedPickup,
    ) -> None:
        engine, profile = lane[0], profile_or_default(lane[1])
        self._late[lane] = [(job.id, job.epoch) for job in late]
        if not self._router.is_alive(*lane):
            self._offer_again(late, PickupFinding.DEAD, profile)
            return
        if profile.overflow:
            for job in late:
                self._look_into(job, inquiry, profile)
            return
        overtaken = _overtaken(before, self._late[lane])
        if overtaken is not None:
            # Twice: jobs that were recorded together are not sent in the order of their deadlines.
            twice = overtaken & self._overtaken.get(lane, frozenset())
            self._overtaken[lane] = overtaken
            for job in (each for each in late if each.id in twice):
                self._look_into(job, inquiry, profile)
        elif self._clock.steady() >= self._rests.get(lane, 0.0):
            self._look_at_the_first(lane, late, inquiry.of_queue(engine, profile), inquiry)

    def _look_at_the_first(
        self,
        lane: Lane,
        late: Sequence[JobRecord],
        found: PickupFinding | None,
        inquiry: MissedPickup,
    ) -> None:
        """Find what became of the first of a queue that stands still, of the next if it is lost."""
        profile = profile_or_default(lane[1])
        if found is not None:
            if found is PickupFinding.LOST:
                self._ledger.hasten(*lane, SHORT_PATIENCE)
            self._offer_again(late, found, profile)
            return
        for job in late:
            if self._look_into(job, inquiry, profile) is PickupFinding.WAITS:
                self._rests[lane] = self._clock.steady() + profile.pickup.total_seconds()
                return

    def _look_into(
        self, job: JobRecord, inquiry: MissedPickup, profile: QueueProfile
    ) -> PickupFinding:
        found = inquiry.about(job, profile)
        if found is PickupFinding.OVERFLOWS and not _may_choose(job):
            found = PickupFinding.WAITS
        if found is PickupFinding.WAITS:
            self._forget([job])
            self._patient.add(_lane(job))
            self._ledger.postpone(job, _patience(job, profile, LONGEST_PATIENCE))
        else:
            self._offer_again([job], found, profile)
        return found

    def _offer_again(
        self, late: Sequence[JobRecord], found: PickupFinding, queue: QueueProfile
    ) -> None:
        self._forget(late)
        for move, moved in self._mover.move(queue, self._moves_of(late, found, queue)):
            cause = "overflow" if found is PickupFinding.OVERFLOWS else "no_pickup"
            detail = {"from": late[0].engine, "reason": move.plan.reason, "cause": cause}
            for job in moved:
                self._listener(Event.of(job, "job.reoffer", **detail))

    def _forget(self, changed: Sequence[JobRecord]) -> None:
        # What this process changes is no sign that the queue moves.
        gone = {(job.id, job.epoch) for job in changed}
        lane = _lane(changed[0])
        self._late[lane] = [offer for offer in self._late[lane] if offer not in gone]

    def _moves_of(
        self, late: Sequence[JobRecord], found: PickupFinding, queue: QueueProfile
    ) -> Iterator[tuple[JobRecord, Move]]:
        for job in late:
            order = self._order(job, found)
            if not order:
                # No engine missed it: the patience with the next offer is not to grow meanwhile.
                self._ledger.postpone(job, queue.pickup, missed=False)
                continue
            longest = SHORT_PATIENCE
            if found is PickupFinding.MAY_WAIT:
                longest = LONGEST_PATIENCE
                self._patient.add((order[0], job.queue))
            reason = PACED if order[0] != job.engine else LATE
            if self._router.is_off(str(job.engine)):
                reason = GETS_NO_OFFERS
            plan = OfferPlan(order[0], _patience(job, queue, longest), reason)
            yield job, Move(plan, order[1:])

    def _hasten_deserted(self) -> None:
        """Bring the next look forward of offers that wait for workers that are gone."""
        deserted = frozenset(
            (engine, name) for name in declared_queues() for engine in self._router.deserted(name)
        )
        for engine, name in deserted - self._deserted:
            self._ledger.hasten(engine, name, SHORT_PATIENCE)
        self._deserted = deserted

    def _hasten_emptied(self, inquiry: MissedPickup) -> None:
        """Bring the next look forward of offers that waited in a queue that is empty now."""
        now = self._clock.steady()
        if now - self._emptied_at < SHORT_PATIENCE.total_seconds():
            return
        self._emptied_at = now
        for engine, name in sorted(self._patient):
            if inquiry.probe(engine, profile_or_default(name)).backlog == 0:
                self._ledger.hasten(engine, name, SHORT_PATIENCE)
                self._patient.discard((engine, name))

    def _set_aside(self, job: JobRecord, why: str) -> None:
        # No claim gets it now; it is due again when it may begin.
        parked = self._ledger.park(job, timedelta(0), why)
        if parked is not None:
            self._listener(Event.of(parked, "job.park", reason=why))

    def _order(self, job: JobRecord, found: PickupFinding) -> tuple[str, ...]:
        """Order the engines for a new offer: the one that missed it last, if it may move."""
        route = self._router.route(job, epoch=job.epoch + 1, avoid=str(job.engine))
        stays = tuple(sorted(route.order, key=lambda name: name != job.engine))
        if job.handoffs >= MAX_HANDOFFS:
            return tuple(name for name in stays if name == job.engine)
        if found is PickupFinding.MAY_WAIT or (found is PickupFinding.LOST and not _may_leave(job)):
            return stays
        if route.order[:1] in ((), (job.engine,)) or self._moves.take():
            return route.order
        # It moves at a later look; an offer to the same engine is always allowed (R25).
        return stays if found is PickupFinding.LOST else ()


def _lane(job: JobRecord) -> Lane:
    return str(job.engine), job.queue


def _overtaken(
    before: Sequence[tuple[str, int]], now: Sequence[tuple[str, int]]
) -> frozenset[str] | None:
    """Return the offers that later ones have overtaken; None if none has left the queue."""
    left = [place for place, offer in enumerate(before) if offer not in set(now)]
    if not left:
        return None
    return frozenset(job for job, _ in before[: left[-1]]) & frozenset(job for job, _ in now)


def _may_choose(job: JobRecord) -> bool:
    return job.handoffs < HANDOFFS_OF_CHOICE


def _may_leave(job: JobRecord) -> bool:
    # One lost message is little evidence against an engine; the next one is more.
    return job.pickups_missed > 0 and _may_choose(job)


def _patience(job: JobRecord, queue: QueueProfile, longest: timedelta) -> timedelta:
    doublings: int = 1 << min(job.pickups_missed, 16)
    return max(queue.pickup, min(queue.pickup * doublings, longest))
