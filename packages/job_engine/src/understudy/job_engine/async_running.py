"""Running the coroutine of one attempt: an event loop of its own, and how it is interrupted."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from understudy.job_engine.interrupts import Interrupt
from understudy.job_engine.lease import Lease, ThreadInterrupter

T = TypeVar("T")

#: How long a loop may take to notice that its task was cancelled, in seconds. One that takes
#: longer is kept busy by code that does not await, which is interrupted like any thread.
BLOCKED_SECONDS = 0.5


def run_coroutine(main: Coroutine[Any, Any, T], lease: Lease) -> T:
    """Run a coroutine to its end in an event loop of its own.

    Raises:
        Interrupt: The lease was revoked and the coroutine let itself be cancelled.
    """
    with asyncio.Runner() as runner:
        return runner.run(_watched(main, lease))


async def off_loop(work: Callable[[], T]) -> T:
    """Do blocking work of ours in a thread, and see it end whatever happens to this task."""
    done = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        while not done.done():
            await _once_more(done)
        # What it raised is not what ends the task, and asyncio would complain if nobody looked.
        if not done.cancelled():
            done.exception()
        raise


async def _once_more(done: "asyncio.Future[Any]") -> None:
    try:
        await asyncio.wait([done])
    except asyncio.CancelledError:
        return


async def _watched(main: Coroutine[Any, Any, T], lease: Lease) -> T:
    canceller = _Canceller()
    try:
        with lease.job_code(canceller):
            return await main
    except asyncio.CancelledError:
        # Cancelled by us, which is an interrupt, or by the job itself, which is its error.
        lease.check()
        raise
    finally:
        main.close()


class _Canceller:
    """Cancels the task of an attempt; interrupts its thread if that does not help."""

    def __init__(self) -> None:
        """Stand for the task that is running now."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._blocked: threading.Timer | None = None

    def __call__(self, interrupter: ThreadInterrupter, interrupt: type[Interrupt] | None) -> None:
        with self._lock:
            if self._blocked is not None:
                self._blocked.cancel()
                self._blocked = None
            if interrupt is None:
                interrupter(self._thread, None)
                return
            args = (interrupter, interrupt)
            self._blocked = threading.Timer(BLOCKED_SECONDS, self._interrupt, args)
            self._blocked.daemon = True
            self._blocked.start()
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        with self._lock:
            if self._blocked is not None:
                self._blocked.cancel()
                self._blocked = None
        if self._task is not None:
            self._task.cancel()

    def _interrupt(self, interrupter: ThreadInterrupter, interrupt: type[Interrupt]) -> None:
        with self._lock:
            if self._blocked is not None:
                interrupter(self._thread, interrupt)
