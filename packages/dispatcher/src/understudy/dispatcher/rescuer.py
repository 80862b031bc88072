"""The rescuer: any number of them, no leader, brings back what went silent (rule 14)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from understudy.dispatcher.engine_set import EngineSet
from understudy.dispatcher.offering import Offerer
from understudy.dispatcher.routing import Router
from understudy.dispatcher.tokens import TokenBucket
from understudy.job_engine.clock import Clock, Deadline
from understudy.job_engine.control import ControlLedger
from understudy.job_engine.engine_port import EngineHealth
from understudy.job_engine.error_record import ErrorRecord
from understudy.job_engine.errors import JobCrashedError
from understudy.job_engine.events import Event, Listener
from understudy.job_engine.outcome import MAX_CRASHES
from understudy.job_engine.pause import pause_of
from understudy.job_engine.ports import LedgerReader, OfferLedger, RescueLedger, RunningJob
from understudy.job_engine.queues import QueueProfile, profile_or_default
from understudy.job_engine.records import JobRecord
from understudy.job_engine.requests import OfferPlan
from understudy.job_engine.waiting import WaitingLedger

#: How many jobs one look takes on.
BATCH = 100
#: A job that changed engine this often stays where it is (rule 18).
MAX_HANDOFFS = 10
#: A waiting offer is offered again at every so manyeth look, lest its message was lost.
LOOKS_PER_OFFER = 4
#: The longest pause between two looks at a waiting offer.
LONGEST_PATIENCE = timedelta(minutes=10)
#: How many jobs a second may be moved to another engine, and how many at once.
MOVES_PER_SECOND = 50
MOVES_AT_ONCE = 200


class RescuerLedger(
    RescueLedger, OfferLedger, ControlLedger, WaitingLedger, LedgerReader, Protocol
):
    """What the rescuer needs of the ledger."""


@dataclass(frozen=True, slots=True)
class _Seen:
    epoch: int
    hb: int
    since: float


class Rescuer:
    """Hand over jobs whose lease was lost, end what expired, look into offers nobody claimed."""

    def __init__(
        self,
        ledger: RescuerLedger,
        router: Router,
        offerer: Offerer,
        engines: EngineSet,
        *,
        clock: Clock,
        listener: Listener,
        budget: timedelta,
    ) -> None:
        """Work beside any number of others."""
        self._ledger = ledger
        self._router = router
        self._offerer = offerer
        self._engines = engines
        self._clock = clock
        self._listener = listener
        self._budget = budget
        self._moves = TokenBucket(MOVES_PER_SECOND, MOVES_AT_ONCE, clock)
        self._watched: dict[str, _Seen] = {}
        self._probed: dict[tuple[str, str], EngineHealth] = {}

    def tick(self) -> None:
        """Look once.

        Raises:
            LedgerUnavailableError: The ledger is away; nothing expires meanwhile (R18).
        """
        self._probed.clear()
        for running in self._lost():
            self._recover(running)
        for job in self._ledger.expired(BATCH):
            self._expire(job)
        unclaimed = self._ledger.unclaimed(BATCH)
        pauses = self._ledger.pauses() if unclaimed else ()
        for job in unclaimed:
            pause = pause_of(job, pauses)
            if pause is None:
                self._look_into(job)
            else:
                self._set_aside(job, str(pause))

    def _lost(self) -> list[RunningJob]:
        # Expired on the database's clock, and seen standing still for a whole lease on ours:
        # neither a skewed clock nor an outage of the ledger looks like a death (R17, R18).
        now = self._clock.steady()
        running = self._ledger.running()
        self._watched = {job.job_id: self._seen(job, now) for job in running}
        return [
            job
            for job in running
            if job.expired and now - self._watched[job.job_id].since >= job.lease.total_seconds()
        ]

    def _seen(self, job: RunningJob, now: float) -> _Seen:
        before = self._watched.get(job.job_id)
        if before is not None and (before.epoch, before.hb) == (job.epoch, job.hb):
            return before
        return _Seen(job.epoch, job.hb, now)

    def _recover(self, lost: RunningJob) -> None:
        job = self._ledger.get(lost.job_id)
        if (job.epoch, job.hb) != (lost.epoch, lost.hb):
            return
        if job.crashes + 1 >= MAX_CRASHES:
            self._exhaust(job)
            return
        route = self._router.route(job.queue, job.engines, epoch=job.epoch + 1, avoid=job.engine)
        order = route.order or self._router.allowed(job.engines) or (str(job.engine),)
        moved = self._ledger.offer(job, OfferPlan(order[0], self._pickup(job), "lease lost"))
        if moved is None:
            return
        self._tell("job.recover", moved, {"from": job.engine, "crashes": moved.crashes})
        if route.order:
            self._carry(moved, order[1:])
        else:
            self._offerer.park(moved, "no engine takes offers")

    def _exhaust(self, job: JobRecord) -> None:
        error = ErrorRecord.of(
            JobCrashedError(f"the lease was lost {job.crashes + 1} times: crash loop")
        )
        failed = self._ledger.exhaust(job, error)
        if failed is not None:
            self._tell("job.exhaust", failed, {"reason": "crash loop"}, error)

    def _expire(self, job: JobRecord) -> None:
        ended = self._ledger.expire(job)
        if ended is not None:
            self._tell("job.expire", ended, {"expires_at": str(ended.expires_at)})

    def _look_into(self, job: JobRecord) -> None:
        queue = profile_or_default(job.queue)
        if self._merely_waits(job, queue):
            self._ledger.postpone(job, self._patience(job, queue))
            return
        order = self._order(job, queue)
        if not order or (order[0] != job.engine and not self._moves.take()):
            # No engine missed it: the patience with the next offer is not to grow meanwhile.
            self._ledger.postpone(job, queue.pickup, missed=False)
            return
        plan = OfferPlan(order[0], self._patience(job, queue), "not picked up in time")
        moved = self._ledger.offer(job, plan)
        if moved is not None:
            self._tell("job.reoffer", moved, {"from": job.engine, "reason": plan.reason})
            self._carry(moved, order[1:])

    def _set_aside(self, job: JobRecord, why: str) -> None:
        # No claim can have it now; it is due again at the moment that it may begin.
        parked = self._ledger.park(job, timedelta(0), why)
        if parked is not None:
            self._tell("job.park", parked, {"reason": why})

    def _merely_waits(self, job: JobRecord, queue: QueueProfile) -> bool:
        """Tell a backlog from a death: a long queue that live workers serve is left alone."""
        assert job.engine is not None  # noqa: S101 - an offered job has an engine
        if queue.overflow or not self._router.serves(job.engine, job.queue):
            return False
        found = self._probe(job.engine, queue)
        if not found.healthy:
            self._engines.failed(job.engine, found.detail)
            return False
        return found.backlog != 0 and (job.pickups_missed + 1) % LOOKS_PER_OFFER != 0

    def _order(self, job: JobRecord, queue: QueueProfile) -> tuple[str, ...]:
        full = job.engine if queue.overflow else None
        route = self._router.route(job.queue, job.engines, epoch=job.epoch + 1, avoid=full)
        if job.handoffs < MAX_HANDOFFS:
            return route.order
        return tuple(name for name in route.order if name == job.engine)

    def _probe(self, engine: str, queue: QueueProfile) -> EngineHealth:
        key = (engine, queue.name)
        if key not in self._probed:
            self._probed[key] = self._engines.probe(engine, queue)
        return self._probed[key]

    def _patience(self, job: JobRecord, queue: QueueProfile) -> timedelta:
        doublings: int = 1 << min(job.pickups_missed, 16)
        return min(queue.pickup * doublings, LONGEST_PATIENCE)

    def _pickup(self, job: JobRecord) -> timedelta:
        return profile_or_default(job.queue).pickup

    def _carry(self, job: JobRecord, then: tuple[str, ...]) -> None:
        deadline = Deadline.after(self._clock, self._budget)
        self._offerer.carry(job, then, profile_or_default(job.queue), deadline)

    def _tell(
        self,
        kind: str,
        job: JobRecord,
        detail: Mapping[str, object],
        error: ErrorRecord | None = None,
    ) -> None:
        self._listener(
            Event(kind, job.id, job.name, job.queue, job.engine, job.epoch, detail, error)
        )
