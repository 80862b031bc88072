"""The handle that `dispatch_job` returns."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.resolve import resolve
from failsoft.dispatcher.handles.retry import retry
from failsoft.dispatcher.handles.waiting import PATIENCE, apoll, changes, poll
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import (
    JobCancelledError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    JobPrunedError,
    ResultTimeoutError,
)
from failsoft.job_engine.policies.limits import LimitUse
from failsoft.job_engine.ports.bulk import BulkLedger
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.ports.expiry import ExpiryLedger
from failsoft.job_engine.ports.flow import FlowLedger
from failsoft.job_engine.ports.ledger import LedgerReader, OfferLedger
from failsoft.job_engine.ports.transactional import TransactionalLedger
from failsoft.job_engine.ports.waits import WaitLedger
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    AttemptRecord,
    CancelOutcome,
    DispatchTry,
    JobRecord,
    Progress,
)
from failsoft.job_engine.records.pauses import Pause, pause_of
from failsoft.job_engine.records.resolution import Resolution, done_json
from failsoft.job_engine.records.schedules import ScheduleLedger
from failsoft.job_engine.records.states import ABANDON, ACCEPT, RESUME, JobState

R = TypeVar("R")

Disposition = Literal["created", "existing", "replaced"]

#: The actor in the events of what is requested by a handle.
ACTOR = "handle"


class HandleLedger(
    OfferLedger,
    BulkLedger,
    TransactionalLedger,
    ExpiryLedger,
    ControlLedger,
    LedgerReader,
    ScheduleLedger,
    FlowLedger,
    WaitLedger,
    Protocol,
):
    """What a handle needs of the ledger."""


class JobHandle(Generic[R]):
    """One dispatched job: read its state, wait for its result, cancel it.

    Attributes:
        id: The job's id.
        disposition: What the dispatch did: `created` the job, found it `existing`, or `replaced`
            its payload.
    """

    def __init__(
        self,
        job: JobRecord,
        definition: JobDefinition[Any, R],
        ledger: HandleLedger,
        clock: Clock,
        *,
        disposition: Disposition = "created",
    ) -> None:
        self.id: str = job.id
        self.disposition: Disposition = disposition
        self._definition = definition
        self._ledger = ledger
        self._clock = clock
        self._first_seen = job

    def __repr__(self) -> str:
        return f"JobHandle({self._definition.name!r}, {self.id!r})"

    @property
    def created(self) -> bool:
        """Whether this dispatch made the job."""
        return self.disposition == "created"

    @property
    def pending(self) -> bool:
        """Whether the job is not there yet: the caller's transaction has not committed.

        After a rollback the handle stays pending.
        """
        try:
            self.job()
        except JobNotFoundError:
            return True
        return False

    @property
    def dispatched(self) -> JobRecord:
        """Return the job as the dispatch left it; its engine is the one that took it."""
        return self._first_seen

    def job(self) -> JobRecord:
        """Return the job as the ledger has it now.

        Little is left of a job that the dispatch found pruned, by a key that is kept longer.
        """
        return self._first_seen if self._first_seen.is_pruned else self._ledger.get(self.id)

    def status(self) -> JobState:
        """Return the job's state now."""
        return self.job().state

    def progress(self) -> Progress | None:
        """Return the progress that the job reported last; None if it reported none."""
        return self.job().progress

    def tries(self) -> Sequence[DispatchTry]:
        """Return every try to hand the job to an engine."""
        return self._ledger.tries(self.id)

    def attempts(self) -> Sequence[AttemptRecord]:
        """Return every attempt of the job, on whichever engine, the first first."""
        return self._ledger.attempts(self.id)

    def limits(self) -> Sequence[LimitUse]:
        """Return how much of each of the job's limits is in use."""
        return self._ledger.limit_uses(self.job().limits)

    def paused(self) -> Pause | None:
        """Return the pause of the job's queue or definition, if there is one."""
        return pause_of(self.job(), self._ledger.pauses())

    def cancel(self) -> CancelOutcome:
        """Cancel the job, or request the attempt that runs it to stop; return which."""
        if self._first_seen.is_pruned:
            return CancelOutcome.ENDED
        return self._ledger.cancel(self.id, ACTOR)

    def retry(
        self,
        *,
        payload: BaseModel | None = None,
        from_step: str | None = None,
        reason: str = "",
        actor: str = ACTOR,
    ) -> "JobHandle[R]":
        """Do the failed job's work again, as a new job that goes on after its last finished step.

        This job stays as it ended, and its idempotency key still points at it. The unique key
        that it held is the new job's until that has ended, computed again for another payload.
        The same retry made again returns the job that is there.

        Args:
            payload: Another payload: the new job starts from the beginning.
            from_step: The step to replay from: the new job goes on before it. Jobs that have
                succeeded or were cancelled can be replayed, too.
            reason: Why; kept in the new job's history.
            actor: Who requested it; kept there, too.

        Raises:
            JobStateError: If the job has not failed; with a payload or a step, if it has not ended.
            UniqueKeyHeldError: If another job holds the unique key; wait for it, or cancel it.
            StepError: If the step to replay from is not recorded.
            PayloadInvalidError: If the payload is not of the job's payload model.
        """
        job = retry(
            self._ledger,
            self.id,
            payload=payload,
            definition=self._definition,
            from_step=from_step,
            reason=reason,
            actor=actor,
        )
        return JobHandle(job, self._definition, self._ledger, self._clock)

    def resume(
        self, *, done: Mapping[str, object] | None = None, reason: str = "", actor: str = ACTOR
    ) -> JobRecord:
        """Let the held job go on where it stopped.

        Every `once` step in doubt may then begin again, on your decision, except those that are
        `done`. Deciding the same again is harmless.

        Args:
            done: Steps in doubt that have taken effect, with what they returned.
            reason: Why; kept in the job's history.
            actor: Who decided; kept there, too.

        Raises:
            JobStateError: If the job is not held.
            StepError: If a step of `done` is not in doubt.
        """
        known = done_json(done or {})
        return resolve(self._ledger, self.id, Resolution(RESUME, actor, reason, done=known))

    def accept(self, result: R, *, reason: str = "", actor: str = ACTOR) -> JobRecord:
        """Let the held job succeed with a result that you give.

        Raises:
            JobStateError: If the job is not held.
            ResultInvalidError: If the result does not fit the definition's result type.
        """
        text = self._definition.result.encode(result)
        return resolve(self._ledger, self.id, Resolution(ACCEPT, actor, reason, text))

    def abandon(self, *, reason: str = "", actor: str = ACTOR) -> JobRecord:
        """Let the held job fail with the error that it is held for.

        Raises:
            JobStateError: If the job is not held.
        """
        return resolve(self._ledger, self.id, Resolution(ABANDON, actor, reason))

    def result(self, timeout: timedelta = PATIENCE) -> R:
        """Wait for the job to end and return its result.

        Raises:
            JobFailedError: If it failed; with the recorded type, message and traceback.
            JobCancelledError: If it was cancelled; `JobExpiredError` if that was its expiry.
            JobPrunedError: If it has ended and was pruned since; its state is still known.
            ResultTimeoutError: If it has not ended in time; it goes on.
        """
        return self._outcome(poll(self.job, _has_ended, self._clock, timeout), timeout)

    async def aresult(self, timeout: timedelta = PATIENCE) -> R:
        """Do as `result` without blocking the event loop; to cancel it leaves the job alone."""
        return self._outcome(await apoll(self.job, _has_ended, timeout), timeout)

    async def astatus(self) -> JobState:
        """Do as `status` without blocking the event loop."""
        return await in_thread(self.status)

    async def watch(self) -> AsyncIterator[Progress]:
        """Yield the progress that the job has reported, and each that it reports, until it ends.

        It waits as long as the job takes; `asyncio.timeout` bounds it. Of reports that follow each
        other within a quarter of a second, the last one may be all that is seen.

        Raises:
            JobNotFoundError: If the job is not there: its transaction has not committed.
        """
        seen: Progress | None = None
        async for job in changes(self.job, _has_ended):
            if job.progress is not None and job.progress != seen:
                yield (seen := job.progress)

    def _outcome(self, job: JobRecord, timeout: timedelta) -> R:
        if not _has_ended(job):
            raise ResultTimeoutError(
                f"expected job {self.id} to end within {timeout}, got state {job.state}; "
                "it goes on, ask again later"
            )
        if job.is_pruned:
            raise JobPrunedError(
                f"expected the outcome of job {job.id}, got one that {job.state} at "
                f"{job.finished_at} and was pruned since; keep such jobs longer with "
                "keep_succeeded or keep_failed"
            )
        if job.state is JobState.SUCCEEDED:
            return self._definition.result.decode(job.result or "null")
        if job.has_expired:
            raise JobExpiredError(f"job {job.id} was not begun by {job.expires_at}, and never will")
        if job.state is JobState.CANCELLED:
            raise JobCancelledError(f"job {job.id} was cancelled and has no result")
        error = job.error or ErrorRecord("unknown", "no error was recorded")
        raise JobFailedError(job.id, error.type, error.message, error.traceback)


def _has_ended(job: JobRecord) -> bool:
    return job.state.is_terminal
