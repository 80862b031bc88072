"""The awaited handle: `JobHandle` off the event loop."""

import time
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.job import FIRST_LOOK, SLOWEST_LOOK, JobHandle
from failsoft.job_engine.awaiting import in_thread, pause
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.job import CancelOutcome, JobRecord, Progress
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.validation import Expect

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
        return (await self.job()).state

    async def pending(self) -> bool:
        """Do as `JobHandle.pending`."""
        return await in_thread(lambda: self.blocking.pending)

    async def progress(self) -> Progress | None:
        """Do as `JobHandle.progress`."""
        return (await self.job()).progress

    async def cancel(self) -> CancelOutcome:
        """Do as `JobHandle.cancel`."""
        return await in_thread(self.blocking.cancel)

    async def result(self, timeout: timedelta = timedelta(seconds=30)) -> R:
        """Do as `JobHandle.result`; no thread waits meanwhile."""
        Expect(OptionInvalidError).span("a timeout", timeout, zero=True)
        ends_at, next_look = time.monotonic() + timeout.total_seconds(), FIRST_LOOK
        while not (await self.status()).is_terminal and time.monotonic() < ends_at:
            await pause(min(next_look, max(0.0, ends_at - time.monotonic())))
            next_look = min(next_look * 2, SLOWEST_LOOK)
        return await in_thread(lambda: self.blocking.result(timedelta(0)))
