"""What a job waits for without a worker, as job code sees it: events and other jobs."""

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from understudy.job_engine.codec import result_of_type
from understudy.job_engine.context_base import ContextBase
from understudy.job_engine.meeting import payload_of, result_of_child
from understudy.job_engine.step_options import check_invoked

if TYPE_CHECKING:
    from understudy.job_engine.definition import JobDefinition

T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class Waits(ContextBase):
    """The half of `JobContext` that waits."""

    def wait_for_event(
        self,
        name: str,
        payload: type[T] | None = None,
        *,
        key: str | None = None,
        timeout: timedelta | None = None,
        raises: bool = False,
        step: str | None = None,
    ) -> T | None:
        """Wait for an event that somebody sends, holding no worker.

        An event that was sent before is found too. Each wait takes the oldest event of its
        name that this job has not received.

        Args:
            name: The event's name, and the step's unless `step` says otherwise.
            payload: The type of what it says; anything JSON can carry where None.
            key: Wait for events sent to this key, not for those sent to this job's id.
            timeout: How long to wait at the most, from when the wait began.
            raises: Whether a wait that lasts too long raises; it returns None otherwise.
            step: The step's name, where the job waits for a name more than once.

        Raises:
            EventTimeoutError: No event came in time, and `raises` is set.
        """
        declared = result_of_type(Any if payload is None else payload)
        with self._machinery():
            answer = self._meeting.event(step or name, name, key, timeout)
        found: T | None = payload_of(name, answer, declared, raises=raises)
        return found

    def invoke(self, job: "JobDefinition[P, R]", payload: P, *, step: str | None = None) -> R:
        """Run another job and wait for its end, holding no worker.

        The job is dispatched once, with an id made from this job's id and the step's name, and
        with everything that its definition says. Cancelling this job while it waits cancels
        that one, too.

        Args:
            job: The job's definition; its declaration is enough.
            payload: What it works on.
            step: The step's name; the job's name where None.

        Returns:
            Its result.

        Raises:
            JobFailedError: It failed.
            JobCancelledError: It was cancelled.
            DuplicateDispatchError: Another job holds its unique key; it was not dispatched.
            InvokeDepthError: Jobs invoke one another too deeply.
        """
        with self._machinery():
            check_invoked(job)
            answer = self._meeting.job(step or job.name, job, payload)
        result: R = result_of_child(answer, job.result)
        return result

    def _machinery(self) -> AbstractContextManager[None]:
        raise NotImplementedError
