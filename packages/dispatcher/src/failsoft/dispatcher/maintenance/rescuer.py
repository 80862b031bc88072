"""The rescuer: any number of them, no leader, offers again what fell silent (rule 14)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from failsoft.dispatcher.maintenance.missed_pickup import MissedPickup, PickupFinding
from failsoft.dispatcher.maintenance.token_bucket import TokenBucket
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.errors import JobCrashedError, LedgerError
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.queue import QueueProfile, declared_queues, profile_or_default
from failsoft.job_engine.ports.clock import ClockLedger, ClockWatch, LedgerClock
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.ports.expiry import ExpiryLedger
from failsoft.job_engine.ports.ledger import LedgerReader, OfferLedger, RescueLedger, RunningJob
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.pauses import pause_of
from failsoft.job_engine.records.routing.guard import GETS_NO_OFFERS
from failsoft.job_engine.telemetry import Event, Listener

#: How many jobs one look handles.
BATCH = 100
#: A job that stood still for this many leases is lost, whatever the time of the ledger is.
LEASES_STILL = 3
#: A job that changed engine this often stays where it is (rule 18).
MAX_HANDOFFS = 10
#: How many of them a lost message or a long queue may cause; the others are kept for deaths.
HANDOFFS_OF_CHOICE = MAX_HANDOFFS // 2
#: The longest pause between two looks at an offer that waits in a long queue.
LONGEST_PATIENCE = timedelta(minutes=10)
#: The longest pause with an engine that loses messages, or that no worker serves any more.
SHORT_PATIENCE = timedelta(minutes=1)
#: The share of a lease that may pass between two looks and counts as watched.
LONGEST_BLINK = 0.25
#: How many jobs a second may be moved to another engine, and how many at once.
MOVES_PER_SECOND = 50
MOVES_AT_ONCE = 200


class RescuerLedger(
    RescueLedger,
    OfferLedger,
    ControlLedger,
    ExpiryLedger,
    ClockLedger,
    LedgerReader,
    Protocol,
):
    """What the rescuer needs of the ledger."""


@dataclass(frozen=True, slots=True)
class _Seen:
    epoch: int
    revision: int
    since: float
    at: float


class Rescuer:
    """Hand over jobs whose lease was lost, end what expired, look into offers without a claim.

    Any number of them work beside each other.
    """

    def __init__(
        self,
        ledger: RescuerLedger,
        router: Router,
        offerer: Offerer,
        *,
        listener: Listener,
        looks_every: timedelta | None = None,
    ) -> None:
        """Watch from now on.

        Args:
            ledger: Where the jobs are.
            router: Orders the engines for an offer.
            offerer: Makes offers.
            listener: Called with every event.
            looks_every: The pause between two looks. Where it is given, a much longer one does
                not count as time in which a job was seen standing still.
        """
        self._looks_every = looks_every
        self._ledger = ledger
        self._router = router
        self._offerer = offerer
        self._clock = clock = offerer.clock
        self._listener = listener
        self._moves = TokenBucket(MOVES_PER_SECOND, MOVES_AT_ONCE, clock)
        self._watched: dict[str, _Seen] = {}
        self._deserted: frozenset[tuple[str, str]] = frozenset()
        self._watch = ClockWatch(clock)
        self._mended: tuple[datetime | None, datetime | None] | None = None
        self._emptied_at = clock.steady()
        #: Engines and queues in which offers wait whose next look is far off.
        self._patient: set[tuple[str, str]] = set()

    def tick(self) -> None:
        """Look once.

        Raises:
            LedgerUnavailableError: The ledger is away; nothing expires meanwhile (R18).
        """
        for running in self._lost():
            self._recover(running)
        found = self._ledger.clock()
        if self._watch.look(found.now):
            for job in self._ledger.expired(BATCH):
                self._expire(job)
        self._hasten_deserted()
        unclaimed = self._ledger.unclaimed(BATCH, self._router.reach())
        pauses = self._ledger.pauses() if unclaimed else ()
        inquiry = MissedPickup(self._router, self._offerer)
        self._hasten_emptied(inquiry)
        for job in unclaimed:
            pause = pause_of(job, pauses)
            if pause is None:
                self._look_into(job, inquiry)
            else:
                self._set_aside(job, str(pause))
        # Last: on a large ledger it takes long, and no rescue is to wait for it.
        self._mend(found)

    def _mend(self, found: LedgerClock) -> None:
        """Correct the moments that the ledger's clock wrote while it was ahead."""
        patience = {
            name: max(queue.pickup, LONGEST_PATIENCE) for name, queue in declared_queues().items()
        }
        # A moment ahead stays ahead until it has come: it is looked into once.
        written = found.newest, found.pickup
        seen = timedelta(0) if written == self._mended else found.ahead(max(patience.values()))
        ahead = max(self._watch.set_back, seen)
        if ahead:
            mended = self._ledger.mend(patience, ahead)
            self._mended = written
            self._watch.forget()
            if mended:
                self._listener(Event("ledger.mended", detail={"instants": mended}))

    def _lost(self) -> list[RunningJob]:
        # Expired on the database's clock, and seen standing still for a whole lease on ours:
        # neither a skewed clock nor an outage of the ledger looks like a death (R17, R18). Or
        # still for so long that the job is lost whatever the database's time is.
        now = self._clock.steady()
        try:
            running = self._ledger.running()
        except LedgerError:
            # While it is away no owner can renew anything: what stood still proves nothing.
            self._watched = {}
            raise
        self._watched = {job.job_id: self._seen(job, now) for job in running}
        return [job for job in running if self._is_lost(job, now)]

    def _is_lost(self, job: RunningJob, now: float) -> bool:
        if job.is_orphan:
            # A process that is known to be dead is not watched.
            return True
        still = now - self._watched[job.job_id].since
        leases = 1 if job.expired else LEASES_STILL
        return still >= leases * job.lease.total_seconds()

    def _seen(self, job: RunningJob, now: float) -> _Seen:
        before = self._watched.get(job.job_id)
        if before is not None and (before.epoch, before.revision) == (job.epoch, job.revision):
            # Time in which this process stood still between two looks was not watched.
            unwatched = max(0.0, now - before.at - self._longest_blink(job))
            return _Seen(job.epoch, job.revision, before.since + unwatched, now)
        return _Seen(job.epoch, job.revision, now, now)

    def _longest_blink(self, job: RunningJob) -> float:
        if self._looks_every is None:
            return float("inf")
        share = job.lease.total_seconds() * LONGEST_BLINK
        return max(share, 2 * self._looks_every.total_seconds())

    def _recover(self, lost: RunningJob) -> None:
        job = self._ledger.get(lost.job_id)
        if (job.epoch, job.revision) != (lost.epoch, lost.revision) or self._router.is_others(
            job.engines
        ):
            return
        if job.crashes + 1 >= MAX_CRASHES:
            self._exhaust(job)
            return
        route = self._router.route(job, epoch=job.epoch + 1, avoid=job.engine)
        order = route.order or self._router.allowed(job.engines) or (str(job.engine),)
        reason = "worker died" if lost.is_orphan else "lease lost"
        moved = self._ledger.offer(job, OfferPlan(order[0], self._pickup(job), reason))
        if moved is None:
            return
        detail = {"from": job.engine, "crashes": moved.crashes, "reason": reason}
        self._listener(Event.of(moved, "job.recover", **detail))
        if route.order:
            self._carry(moved, order[1:])
        else:
            self._offerer.park(moved, "no engine takes offers")

    def _exhaust(self, job: JobRecord) -> None:
        error = ErrorRecord.of(
            JobCrashedError(
                f"its worker died or lost the lease {job.crashes + 1} times: crash loop"
            )
        )
        failed = self._ledger.exhaust(job, error)
        if failed is not None:
            self._listener(Event.of(failed, "job.exhaust", error, reason="crash loop"))

    def _expire(self, job: JobRecord) -> None:
        ended = self._ledger.expire(job)
        if ended is not None:
            self._listener(Event.of(ended, "job.expire", expires_at=str(ended.expires_at)))

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
            if inquiry.has_nothing(engine, profile_or_default(name)):
                self._ledger.hasten(engine, name, SHORT_PATIENCE)
                self._patient.discard((engine, name))

    def _look_into(self, job: JobRecord, inquiry: MissedPickup) -> None:
        queue = profile_or_default(job.queue)
        found = inquiry.about(job, queue)
        if found is PickupFinding.WAITS or (
            found is PickupFinding.OVERFLOWS and not _may_choose(job)
        ):
            self._patient.add((str(job.engine), job.queue))
            self._ledger.postpone(job, _patience(job, queue, LONGEST_PATIENCE))
            return
        if found is PickupFinding.LOST and inquiry.has_nothing(str(job.engine), queue):
            self._ledger.hasten(str(job.engine), job.queue, SHORT_PATIENCE)
        order = self._order(job, found)
        if not order:
            # No engine missed it: the patience with the next offer is not to grow meanwhile.
            self._ledger.postpone(job, queue.pickup, missed=False)
            return
        longest = SHORT_PATIENCE
        if found is PickupFinding.MAY_WAIT:
            longest = LONGEST_PATIENCE
            self._patient.add((order[0], job.queue))
        is_off = self._router.is_off(str(job.engine))
        reason = GETS_NO_OFFERS if is_off else "not picked up in time"
        plan = OfferPlan(order[0], _patience(job, queue, longest), reason)
        moved = self._ledger.offer(job, plan)
        if moved is not None:
            detail = {"from": job.engine, "reason": plan.reason}
            self._listener(Event.of(moved, "job.reoffer", **detail))
            self._carry(moved, order[1:])

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

    def _pickup(self, job: JobRecord) -> timedelta:
        return profile_or_default(job.queue).pickup

    def _carry(self, job: JobRecord, then: tuple[str, ...]) -> None:
        self._offerer.carry(job, then, profile_or_default(job.queue))


def _may_choose(job: JobRecord) -> bool:
    return job.handoffs < HANDOFFS_OF_CHOICE


def _may_leave(job: JobRecord) -> bool:
    # One lost message is little evidence against an engine; the next one is more.
    return job.pickups_missed > 0 and _may_choose(job)


def _patience(job: JobRecord, queue: QueueProfile, longest: timedelta) -> timedelta:
    doublings: int = 1 << min(job.pickups_missed, 16)
    return max(queue.pickup, min(queue.pickup * doublings, longest))
