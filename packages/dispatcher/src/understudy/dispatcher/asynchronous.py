"""Dispatching from async web apps: the same dispatcher, off the event loop."""

import asyncio
from datetime import timedelta
from typing import Generic, TypeVar, Unpack

from pydantic import BaseModel

from understudy.dispatcher.default import default_dispatcher
from understudy.dispatcher.handle import FIRST_LOOK, SLOWEST_LOOK, JobHandle
from understudy.dispatcher.options import DispatchOptions
from understudy.job_engine.definition import JobDefinition
from understudy.job_engine.errors import OptionInvalidError
from understudy.job_engine.expecting import Expect
from understudy.job_engine.records import CancelOutcome, JobRecord, Progress
from understudy.job_engine.states import JobState

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
        """Stand for the job of a handle."""
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


async def dispatch_job_async(
    job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
) -> AsyncJobHandle[R]:
    """Dispatch a job without blocking the event loop; the rest is `dispatch_job`.

    Args:
        job: The job's definition; its declaration is enough.
        payload: What it works on, an instance of the job's payload model.
        options: See `DispatchOptions`; `session` is an `AsyncSession` or an `AsyncConnection`.

    Returns:
        A handle whose methods are awaited.

    Raises:
        DispatchError: The payload or an option is wrong; nothing was stored.
        LedgerUnavailableError: The ledger did not answer.
    """
    dispatcher = await asyncio.to_thread(default_dispatcher)
    return AsyncJobHandle(await dispatcher.dispatch_async(job, payload, **options))
