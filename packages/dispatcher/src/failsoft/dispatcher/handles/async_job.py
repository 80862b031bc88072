"""Dispatching from async web apps: the same dispatcher, off the event loop."""

import asyncio
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.job import FIRST_LOOK, SLOWEST_LOOK, JobHandle
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
        """Show the id."""
        return f"Async{self.blocking!r}"

    async def job(self) -> JobRecord:
        """Return everything the ledger knows of the job now."""
        return await asyncio.to_thread(self.blocking.job)

    async def status(self) -> JobState:
        """Return the job's state now."""
        return (await self.job()).state

    async def pending(self) -> bool:
        """Tell whether the job is not there yet: the caller's transaction has not committed."""
        return await asyncio.to_thread(lambda: self.blocking.pending)

    async def progress(self) -> Progress | None:
        """Return how far the job says it has come; None if it has said nothing."""
        return (await self.job()).progress

    async def cancel(self) -> CancelOutcome:
        """Cancel the job, or ask the attempt that runs it to stop; the answer says which."""
        return await asyncio.to_thread(self.blocking.cancel)

    async def result(self, timeout: timedelta = timedelta(seconds=30)) -> R:
        """Wait for the job to end and return its result; no thread is held meanwhile.

        Raises:
            JobFailedError: If it failed; with the recorded type, message and traceback.
            JobCancelledError: If it was cancelled.
            ResultTimeoutError: If it has not ended in time; it goes on.
        """
        Expect(OptionInvalidError).span("a timeout", timeout, zero=True)
        loop = asyncio.get_running_loop()
        ends_at, pause = loop.time() + timeout.total_seconds(), FIRST_LOOK
        while not (await self.status()).is_terminal and loop.time() < ends_at:
            await asyncio.sleep(min(pause, max(0.0, ends_at - loop.time())))
            pause = min(pause * 2, SLOWEST_LOOK)
        return await asyncio.to_thread(self.blocking.result, timedelta(0))
