"""The awaited handle: `JobHandle` off the event loop."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.handles.waiting import PATIENCE
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.records.job import CancelOutcome, JobRecord, Progress
from failsoft.job_engine.records.states import JobState

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class AsyncJobHandle(Generic[R]):
    """One dispatched job, as `JobHandle` is, with methods that are awaited.

    Attributes:
        id: The job's id.
        created: Whether this dispatch made the job; False if its key had been used before.
        blocking: The same handle for code that is not async.
    """

    def __init__(self, handle: JobHandle[R]) -> None:
        self.id: str = handle.id
        self.created: bool = handle.created
        self.blocking: JobHandle[R] = handle

    def __repr__(self) -> str:
        return f"Async{self.blocking!r}"

    async def job(self) -> JobRecord:
        """Do as `JobHandle.job`."""
        return await in_thread(self.blocking.job)

    async def status(self) -> JobState:
        """Do as `JobHandle.status`."""
        return await self.blocking.astatus()

    async def pending(self) -> bool:
        """Do as `JobHandle.pending`."""
        return await in_thread(lambda: self.blocking.pending)

    async def progress(self) -> Progress | None:
        """Do as `JobHandle.progress`."""
        return (await self.job()).progress

    async def cancel(self) -> CancelOutcome:
        """Do as `JobHandle.cancel`."""
        return await in_thread(self.blocking.cancel)

    def watch(self) -> AsyncIterator[Progress]:
        """Do as `JobHandle.watch`."""
        return self.blocking.watch()

    async def result(self, timeout: timedelta = PATIENCE) -> R:
        """Do as `JobHandle.result`; no thread waits meanwhile."""
        return await self.blocking.aresult(timeout)
