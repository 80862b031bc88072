"""The rescuer: any number of them, no leader, offers again what fell silent (rule 14)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from failsoft.dispatcher.maintenance.evacuation import Evacuation
from failsoft.dispatcher.maintenance.known_dead import KnownDead
from failsoft.dispatcher.maintenance.late_offers import (
    LONGEST_PATIENCE,
    LateOfferLedger,
    LateOffers,
)
from failsoft.dispatcher.maintenance.missed_pickup import MissedPickup
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.errors import JobCrashedError, LedgerError
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.queue import declared_queues, profile_or_default
from failsoft.job_engine.ports.clock import ClockLedger, ClockWatch, LedgerClock
from failsoft.job_engine.ports.expiry import ExpiryLedger
from failsoft.job_engine.ports.ledger import LedgerReader, RunningJob
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import EXHAUST, RECOVER
from failsoft.job_engine.telemetry import Event, Listener
from failsoft.job_engine.tracing import Span, tracer

#: How many jobs one look handles.
BATCH = 100
#: A job that stood still for this many leases is lost, whatever the time of the ledger is.
LEASES_STILL = 3
#: The share of a lease that may pass between two looks and counts as watched.
LONGEST_BLINK = 0.25


class RescuerLedger(
    LateOfferLedger,
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
        self._known_dead = KnownDead(ledger, router, offerer.engines, clock)
        self._evacuation = Evacuation(ledger, router, offerer, listener)
        self._late_offers = LateOffers(ledger, router, offerer, listener)
        self._watched: dict[str, _Seen] = {}
        self._watch = ClockWatch(clock)
        self._mended: tuple[datetime | None, datetime | None] | None = None

    def tick(self) -> None:
        """Look once.

        Raises:
            LedgerUnavailableError: The ledger is away; nothing expires meanwhile (R18).
        """
        lost = self._lost()
        if lost:
            with tracer().maintain("rescue") as span:
                span.note(rescue_count=len(lost))
                for running in lost:
                    self._recover(running, span)
        found = self._ledger.clock()
        if self._watch.look(found.now):
            for job in self._ledger.expired(BATCH):
                self._expire(job)
        inquiry = MissedPickup(self._router, self._offerer)
        for engine, queue in self._known_dead.look(inquiry):
            self._evacuation.run(engine, queue)
        self._late_offers.look(inquiry)
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

    def _recover(self, lost: RunningJob, span: Span) -> None:
        job = self._ledger.get(lost.job_id)
        span.link(job.trace_context)
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
        tracer().lost(job, RECOVER.name)
        detail = {"from": job.engine, "crashes": moved.crashes, "reason": reason}
        detail |= {"cause": "lease_lost"}
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
            tracer().lost(job, EXHAUST.name)
            self._listener(Event.of(failed, "job.exhaust", error, reason="crash loop"))

    def _expire(self, job: JobRecord) -> None:
        ended = self._ledger.expire(job)
        if ended is not None:
            self._listener(Event.of(ended, "job.expire", expires_at=str(ended.expires_at)))

    def _pickup(self, job: JobRecord) -> timedelta:
        return profile_or_default(job.queue).pickup

    def _carry(self, job: JobRecord, then: tuple[str, ...]) -> None:
        self._offerer.carry(job, then, profile_or_default(job.queue))
