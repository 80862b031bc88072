"""What `dispatch_job` gives back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from understudy.job_engine.clock import Clock, Deadline
from understudy.job_engine.definition import JobDefinition
from understudy.job_engine.errors import JobCancelledError, JobFailedError, ResultTimeoutError
from understudy.job_engine.ports import LedgerReader, OfferLedger
from understudy.job_engine.records import (
    CancelOutcome,
    DispatchTry,
    ErrorRecord,
    JobRecord,
    Progress,
)
from understudy.job_engine.states import JobState

R = TypeVar("R")

#: How often a waiting handle looks, at first and at most, in seconds.
FIRST_LOOK = 0.01
SLOWEST_LOOK = 0.25


class HandleLedger(OfferLedger, LedgerReader, Protocol):
    """What a handle needs of the ledger."""


class JobHandle(Generic[R]):
    """One dispatched job: ask for its state, wait for its result, cancel it.

    Attributes:
        id: The job's id.
        created: Whether this dispatch made the job; False if its key had been used before.
    """

    def __init__(
        self,
        job: JobRecord,
        definition: JobDefinition[Any, R],
        ledger: HandleLedger,
        clock: Clock,
        *,
        created: bool = True,
    ) -> None:
        """Stand for a job in a ledger."""
        self.id = job.id
        self.created = created
        self._definition = definition
        self._ledger = ledger
        self._clock = clock
        self._first_seen = job

    def __repr__(self) -> str:
        """Show the id."""
        return f"JobHandle({self._definition.name!r}, {self.id!r})"

    @property
    def dispatched(self) -> JobRecord:
        """Return the job as the dispatch left it; its engine is the one that took it."""
        return self._first_seen

    def job(self) -> JobRecord:
        """Return everything the ledger knows of the job now."""
        return self._ledger.get(self.id)

    def status(self) -> JobState:
        """Return the job's state now."""
        return self.job().state

    def progress(self) -> Progress | None:
        """Return how far the job says it has come; None if it has said nothing."""
        return self.job().progress

    def tries(self) -> Sequence[DispatchTry]:
        """Return every try to hand the job to an engine."""
        return self._ledger.tries(self.id)

    def cancel(self) -> CancelOutcome:
        """Cancel the job, or ask the attempt that runs it to stop; the answer says which."""
        return self._ledger.cancel(self.id, "handle")

    def result(self, timeout: timedelta = timedelta(seconds=30)) -> R:
        """Wait for the job to end and return its result.

        Raises:
            JobFailedError: If it failed; with the recorded type, message and traceback.
            JobCancelledError: If it was cancelled.
            ResultTimeoutError: If it has not ended in time; it goes on.
        """
        deadline = Deadline.after(self._clock, timeout)
        pause = FIRST_LOOK
        while True:
            job = self.job()
            if job.state.is_terminal:
                return self._outcome(job)
            if deadline.passed:
                raise ResultTimeoutError(
                    f"expected job {self.id} to end within {timeout}, got state {job.state}; "
                    "it goes on, ask again later"
                )
            self._clock.sleep(min(pause, deadline.remaining()))
            pause = min(pause * 2, SLOWEST_LOOK)

    def _outcome(self, job: JobRecord) -> R:
        if job.state is JobState.SUCCEEDED:
            return self._definition.result.decode(job.result or "null")
        if job.state is JobState.CANCELLED:
            raise JobCancelledError(f"job {job.id} was cancelled and has no result")
        error = job.error or ErrorRecord("unknown", "no error was recorded")
        raise JobFailedError(job.id, error.type, error.message, error.traceback)
