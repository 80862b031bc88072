"""What `enqueue` returns in place of RQ's job: it reads the ledger."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue
from rq.job import JobStatus

from failsoft.adoption.rq.call import FunctionCall
from failsoft.api import CancelOutcome, JobHandle, JobRecord, JobState
from failsoft.job_engine.values.codec import decode_payload

_STATUS: Mapping[JobState, JobStatus] = MappingProxyType(
    {
        JobState.SCHEDULED: JobStatus.SCHEDULED,
        JobState.OFFERED: JobStatus.QUEUED,
        JobState.RUNNING: JobStatus.STARTED,
        JobState.SUCCEEDED: JobStatus.FINISHED,
        JobState.FAILED: JobStatus.FAILED,
        JobState.CANCELLED: JobStatus.CANCELED,
        # A person decides about it; it is in no queue meanwhile.
        JobState.HELD: JobStatus.DEFERRED,
    }
)


class AdoptedJob:
    """A dispatched function, with the names that RQ's job has.

    Attributes:
        id: The job's id.
        handle: The job's handle, with everything else that there is to read and to do.
    """

    def __init__(self, handle: JobHandle[Any]) -> None:
        self.id: str = handle.id
        self.handle: JobHandle[Any] = handle

    def __repr__(self) -> str:
        return f"AdoptedJob({self.id!r})"

    @property
    def _call(self) -> FunctionCall:
        return decode_payload(self._job.payload, FunctionCall)

    @property
    def _job(self) -> JobRecord:
        return self.handle.job()

    @property
    def origin(self) -> str:
        """Return the name of its queue."""
        return self._job.queue

    @property
    def func_name(self) -> str:
        """Return the path of its function."""
        return self._call.path

    @property
    def args(self) -> list[JsonValue]:
        """Return the arguments of its function."""
        return self._call.args

    @property
    def kwargs(self) -> dict[str, JsonValue]:
        """Return the keyword arguments of its function."""
        return self._call.kwargs

    @property
    def meta(self) -> dict[str, JsonValue]:
        """Return the `meta` that it was enqueued with."""
        return self._call.meta

    @property
    def created_at(self) -> datetime:
        """Return when it was recorded."""
        return self._job.created_at

    @property
    def ended_at(self) -> datetime | None:
        """Return when it ended; None if it has not."""
        return self._job.finished_at

    @property
    def exc_info(self) -> str | None:
        """Return the traceback of its newest error; None without one."""
        error = self._job.error
        return None if error is None else error.traceback or error.message

    @property
    def is_finished(self) -> bool:
        """Whether it succeeded."""
        return self._job.state is JobState.SUCCEEDED

    @property
    def is_failed(self) -> bool:
        """Whether it failed for good."""
        return self._job.state is JobState.FAILED

    @property
    def is_queued(self) -> bool:
        """Whether it waits for a worker."""
        return self._job.state is JobState.OFFERED

    @property
    def is_started(self) -> bool:
        """Whether an attempt of it runs."""
        return self._job.state is JobState.RUNNING

    @property
    def is_scheduled(self) -> bool:
        """Whether it waits for its time."""
        return self._job.state is JobState.SCHEDULED

    @property
    def is_canceled(self) -> bool:
        """Whether it was cancelled."""
        return self._job.state is JobState.CANCELLED

    def get_status(self, refresh: bool = True) -> JobStatus:
        """Return its state as RQ calls it; one that is held for a person is `deferred`."""
        return _STATUS[self._job.state]

    def return_value(self, refresh: bool = False) -> Any:
        """Return what its function returned; None if it has not succeeded."""
        job = self._job
        return self.handle.result() if job.state is JobState.SUCCEEDED else None

    def refresh(self) -> None:
        """Do nothing: everything is read from the ledger each time."""

    def cancel(self) -> CancelOutcome:
        """Cancel it, or request the attempt that runs it to stop; return which."""
        return self.handle.cancel()
