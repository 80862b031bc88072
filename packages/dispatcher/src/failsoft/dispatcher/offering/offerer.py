"""Carrying an offered job to an engine: hand over until one takes it, or park it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Self

from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.errors import (
    EngineError,
    EngineUnavailableError,
    OfferRefusedError,
)
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.clock import PARK_MOST
from failsoft.job_engine.ports.ledger import OfferLedger
from failsoft.job_engine.ports.measures import Series
from failsoft.job_engine.records.job import DispatchTry, JobRecord, TryOutcome
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.telemetry import Event, Listener
from failsoft.job_engine.tracing import tracer

#: How long handing a job over may take, first failure of an engine included.
DEFAULT_BUDGET = timedelta(seconds=1)
#: How much longer than one offer those of many jobs may take, for each of them.
A_JOB_MORE = timedelta(milliseconds=10)
#: How long a parked job waits before its first new offer; `PARK_MOST` at most.
PARK_FIRST = timedelta(seconds=1)


class NotTaken(NamedTuple):
    """Why an engine has not taken a job, or has not got it begun.

    Attributes:
        reason: In words, for the history.
        cause: `refused`, `unavailable`, `unknown` or `no_pickup`.
    """

    reason: str
    cause: str

    @classmethod
    def of(cls, error: EngineError) -> Self:
        """Return what an error of an offer means."""
        return cls(str(error) or repr(error), str(_outcome(error)))


class Offerer:
    """Offer a job through the engines; the dispatcher, the rescuer and the stager share it.

    Attributes:
        engines: The engines of this process.
        clock: Where time comes from.
        measures: What this process counts.
    """

    def __init__(
        self,
        ledger: OfferLedger,
        engines: EngineSet,
        keys: KeyRing,
        tries: TryLog,
        *,
        clock: Clock,
        listener: Listener,
        budget: timedelta = DEFAULT_BUDGET,
    ) -> None:
        self.engines = engines
        self.clock = clock
        self.measures: Measures = tries.measures
        self._ledger = ledger
        self._keys = keys
        self._tries = tries
        self._listener = listener
        self._budget = budget

    def deadline(self, budget: timedelta | None = None) -> Deadline:
        """Return when a hand-over that begins now must be over."""
        return Deadline.after(self.clock, self._budget if budget is None else budget)

    def note(self, job_id: str, skipped: Sequence[DispatchTry]) -> None:
        """Record why some engines were not tried."""
        for each in skipped:
            self._tries.add(job_id, each)

    def flush(self) -> None:
        """Write the outcomes of earlier offers to the ledger."""
        self._tries.flush()

    def measure(self, queue: QueueProfile, elapsed: float) -> None:
        """Count how long a dispatch has taken, and have what was counted written soon.

        Args:
            queue: The job's queue.
            elapsed: In seconds.
        """
        self.measures.observe(Series("dispatch", queue=queue.name), elapsed)
        self._tries.wake()

    def carry(
        self,
        job: JobRecord,
        then: Sequence[str],
        queue: QueueProfile,
        deadline: Deadline | None = None,
    ) -> JobRecord:
        """Offer a job to its engine, then to the others, and park it if none takes it.

        Args:
            job: The job as it was committed, `offered` to `job.engine` (rule 3).
            then: The engines to try after that one.
            queue: Its queue's profile.
            deadline: When this must be over; each engine gets its share of what is left. The
                budget from now where None.

        Returns:
            The job as it was last seen. A compare-and-set that loses means that the job was
            claimed or cancelled meanwhile; then it is returned as it was.
        """
        rest, deadline = list(then), deadline or self.deadline()
        while (why := self._offer(job, queue, deadline.share(1 + len(rest)))) is not None:
            if not rest:
                return self.park(job, why.reason) or job
            moved = self.hand_over(job, rest.pop(0), queue, why)
            if moved is None:
                return job
            job = moved
        return job

    def carry_many(
        self,
        jobs: Sequence[JobRecord],
        then: Sequence[str],
        queue: QueueProfile,
        budget: timedelta | None = None,
    ) -> None:
        """Offer many jobs to the engine they name, then to the others, and park what none takes.

        If the ledger fails meanwhile, rescuers offer those that are left (I1).

        Args:
            jobs: As they were committed, all `offered` to one engine (rule 3).
            then: The engines to try after that one.
            queue: Their queue's profile.
            budget: How long one of them may take; `A_JOB_MORE` for each of them is added. The
                offerer's own where None.
        """
        one = self._budget if budget is None else budget
        deadline = self.deadline(one + A_JOB_MORE * len(jobs))
        rest, waiting = list(then), list(jobs)
        while waiting:
            reasons = self._offer_many(waiting, queue, deadline.share(1 + len(rest)))
            failed = [(job, why) for job, why in zip(waiting, reasons, strict=True) if why]
            if not rest:
                for job, why in failed:
                    self.park(job, why.reason)
                return
            engine = rest.pop(0)
            moved = (self.hand_over(job, engine, queue, why) for job, why in failed)
            waiting = [job for job in moved if job is not None]

    def _offer_many(
        self, jobs: Sequence[JobRecord], queue: QueueProfile, deadline: Deadline
    ) -> list[NotTaken | None]:
        """Offer once; return why each was not taken, or None for those that were."""
        engine, started = str(jobs[0].engine), self.clock.steady()
        messages = [self._keys.sign(job.id, job.epoch, engine) for job in jobs]
        with tracer().send(jobs[0], len(jobs)) as span:
            answers = self.engines.offer_many(engine, messages, queue, deadline)
            failed = next((error for error in answers if error is not None), None)
            if failed is not None:
                span.note(error_type=str(_outcome(failed)))
        reasons = list[NotTaken | None]()
        for job, error in zip(jobs, answers, strict=True):
            outcome = TryOutcome.ACCEPTED if error is None else _outcome(error)
            why = None if error is None else NotTaken.of(error)
            reasons.append(why)
            self._note(job, outcome, why.reason if why else "", started)
        return reasons

    def hand_over(
        self, job: JobRecord, engine: str, queue: QueueProfile, why: NotTaken
    ) -> JobRecord | None:
        """Make the job another engine's with a new epoch; None if it changed meanwhile."""
        moved = self._ledger.offer(job, OfferPlan(engine, queue.pickup, why.reason))
        if moved is not None:
            tracer().failed_over(moved, job.engine, why.cause)
            detail = {"from": job.engine, "reason": why.reason, "cause": why.cause}
            self._listener(Event.of(moved, "job.offered", **detail))
        return moved

    def holds(self, job: JobRecord, queue: QueueProfile) -> bool | None:
        """Return whether the job's engine still has this offer; None if it cannot find out."""
        assert job.engine is not None  # noqa: S101 - an offered job has an engine
        message = self._keys.sign(job.id, job.epoch, job.engine)
        return self.engines.holds(job.engine, message, queue)

    def park(self, job: JobRecord, reason: str) -> JobRecord | None:
        """Let the job wait until an engine takes offers (docs/explain/architecture.md, step 6)."""
        doublings = min(job.epoch, 10)
        delay = min(PARK_FIRST * 2 ** max(0, doublings - 2), PARK_MOST)
        parked = self._ledger.park(job, delay, reason)
        if parked is not None:
            self._listener(Event.of(parked, "job.park", reason=reason))
        return parked

    def _offer(self, job: JobRecord, queue: QueueProfile, deadline: Deadline) -> NotTaken | None:
        """Offer once; return why it was not taken, or None if it was."""
        assert job.engine is not None  # noqa: S101 - an offered job has an engine
        message = self._keys.sign(job.id, job.epoch, job.engine)
        started = self.clock.steady()
        with tracer().send(job) as span:
            try:
                self.engines.offer(job.engine, message, queue, deadline)
            except EngineError as error:
                span.note(error_type=str(_outcome(error)))
                self._note(job, _outcome(error), str(error), started)
                return NotTaken.of(error)
        self._note(job, TryOutcome.ACCEPTED, "", started)
        return None

    def _note(self, job: JobRecord, outcome: TryOutcome, reason: str, started: float) -> None:
        elapsed = self.clock.steady() - started
        engine = job.engine or ""
        self._tries.add(job.id, DispatchTry(engine, job.epoch, "offer", outcome, reason, elapsed))


def _outcome(error: EngineError) -> TryOutcome:
    if isinstance(error, EngineUnavailableError):
        return TryOutcome.UNAVAILABLE
    if isinstance(error, OfferRefusedError):
        return TryOutcome.REFUSED
    return TryOutcome.UNKNOWN
