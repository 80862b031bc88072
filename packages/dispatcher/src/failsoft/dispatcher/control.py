"""What a dispatcher offers besides dispatching: handles, retries, pauses."""

from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.job import HandleLedger, JobHandle
from failsoft.dispatcher.handles.resolve import resolve
from failsoft.dispatcher.handles.retry import RetryReport, retry, retry_many
from failsoft.dispatcher.offering.router import Router
from failsoft.dispatcher.options.checks import check_job
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import JobNotFoundError, OptionInvalidError
from failsoft.job_engine.records.job import CancelOutcome, JobRecord
from failsoft.job_engine.records.manual_retry import MOST, DeadLetters
from failsoft.job_engine.records.message import is_job_id
from failsoft.job_engine.records.pauses import Pausable, Pause
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, RESUME
from failsoft.job_engine.validation import Expect

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: The actor in the events of what a program requests.
ACTOR = "dispatcher"


class Control:
    """The part of a dispatcher that dispatches nothing."""

    _ledger: HandleLedger
    _router: Router
    _clock: Clock

    def handle(self, job: JobDefinition[P, R], job_id: str) -> JobHandle[R]:
        """Return the handle of a job that was dispatched before, perhaps by another program.

        Raises:
            JobNotFoundError: If there is no such job, or if it is another definition's.
        """
        check_job(job)
        Expect(OptionInvalidError).value(is_job_id(job_id), "a job id", job_id)
        record = self._ledger.get(job_id)
        if record.name != job.name:
            raise JobNotFoundError(
                f"expected a job of definition {job.name!r}, got job {job_id}, which is of "
                f"{record.name!r}; ask with that definition"
            )
        return JobHandle(record, job, self._ledger, self._clock, disposition="existing")

    def holds(self, job_id: str) -> bool:
        """Return whether the ledger has a job of this id, or remembers one that is gone."""
        Expect(OptionInvalidError).value(is_job_id(job_id), "a job id", job_id)
        try:
            self._ledger.get(job_id)
        except JobNotFoundError:
            return False
        return True

    def retry(
        self,
        job_id: str,
        *,
        payload: BaseModel | None = None,
        from_step: str | None = None,
        reason: str = "",
        actor: str = ACTOR,
    ) -> JobRecord:
        """Do an ended job's work again, as a new job; see `JobHandle.retry`.

        Raises:
            JobNotFoundError: If there is no such job.
            OptionInvalidError: If it has a unique key and the payload is another one: use the
                job's handle, whose definition has the fields that the key is made of.
        """
        return retry(
            *(self._ledger, job_id),
            payload=payload,
            from_step=from_step,
            reason=reason,
            actor=actor,
        )

    def cancel(self, job_id: str, *, actor: str = ACTOR) -> CancelOutcome:
        """Cancel a job that waits, or request the attempt that runs it to stop; return which.

        Raises:
            JobNotFoundError: If there is no such job.
        """
        return self._ledger.cancel(job_id, actor)

    def resume(self, job_id: str, *, reason: str = "", actor: str = ACTOR) -> JobRecord:
        """Let a held job go on where it stopped; see `JobHandle.resume`.

        Raises:
            JobNotFoundError: If there is no such job.
            JobStateError: If the job is not held.
        """
        return resolve(self._ledger, job_id, Resolution(RESUME, actor, reason))

    def abandon(self, job_id: str, *, reason: str = "", actor: str = ACTOR) -> JobRecord:
        """Let a held job fail with the error that it is held for.

        Raises:
            JobNotFoundError: If there is no such job.
            JobStateError: If the job is not held.
        """
        return resolve(self._ledger, job_id, Resolution(ABANDON, actor, reason))

    def retry_many(
        self,
        *,
        name: str | None = None,
        queue: str | None = None,
        since: timedelta | None = None,
        limit: int = MOST,
        reason: str = "",
        actor: str = ACTOR,
    ) -> RetryReport:
        """Try failed jobs again that were not tried again before, the oldest first.

        Those whose unique key another job holds are refused, and reported.

        Args:
            name: Only of this definition.
            queue: Only of this queue.
            since: Only those that failed so recently.
            limit: How many at most.
            reason: Why; kept in each new job's history.
            actor: Who requested it; kept there, too.
        """
        wanted = DeadLetters(name, queue, since, limit)
        return retry_many(self._ledger, wanted, reason=reason, actor=actor)

    def pause(self, kind: Pausable, name: str, *, reason: str = "", actor: str = ACTOR) -> Pause:
        """Let no job of a queue, of a definition or on an engine begin until it is resumed.

        What runs goes on to its end. Pausing what is paused changes nothing. A paused engine gets
        no offers; what waits there moves to another engine in time.

        Args:
            kind: `queue`, `job` or `engine`.
            name: The queue's, the definition's or the engine's name.
            reason: Why; shown with the pause.
            actor: Who requested it; shown, too.
        """
        pause = self._ledger.pause(Pause(kind, name, actor, reason))
        self._router.look_anew()
        return pause

    def unpause(self, kind: Pausable, name: str) -> bool:
        """Let jobs of a queue, of a definition or on an engine begin; return if it was paused."""
        paused = Pause(kind, name, ACTOR)
        was_paused = self._ledger.unpause(paused.kind, paused.name)
        self._router.look_anew()
        return was_paused
