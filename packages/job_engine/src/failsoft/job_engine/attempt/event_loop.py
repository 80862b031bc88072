"""Running the coroutine of one attempt: an event loop of its own, and how it is interrupted."""

import asyncio
import logging
import os
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from failsoft.job_engine.attempt.context_variables import own_copy
from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.attempt.lease import Lease, ThreadInterrupter
from failsoft.job_engine.errors import StepError

T = TypeVar("T")

#: How long a loop may take to notice that its task was cancelled, in seconds. One that takes
#: longer is kept busy by code that does not await, which is interrupted like any thread.
BLOCKED_SECONDS = 0.5


#: How long the end of an attempt waits for what its job left in the loop, in seconds.
CLOSE_SECONDS = 0.5
#: More threads than an attempt could need at once, its branches included; most never start.
MOST_THREADS = 1024

_log = logging.getLogger("failsoft.job")
_threads: WeakKeyDictionary[AbstractEventLoop, ThreadPoolExecutor] = WeakKeyDictionary()


def _stop_in_fork() -> None:
    # A fork inside a coroutine has the loop as it is, and shares with its parent what that waits
    # by: it may go on to where it would wait, and no further.
    for loop in list(_threads):
        loop.stop()


os.register_at_fork(after_in_child=_stop_in_fork)


class _JobThreads(ThreadPoolExecutor):
    """The threads of `asyncio.to_thread`: a fork that comes out of the job's code ends there."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(thread_name_prefix="failsoft-to-thread")
        self._lease = lease

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Have a thread call a function."""
        return super().submit(self._lease.call, partial(fn, *args, **kwargs))


def run_coroutine(main: Coroutine[Any, Any, T], lease: Lease) -> T:
    """Run a coroutine to its end in an event loop of its own.

    Tasks and threads that it leaves behind are cancelled and waited for, but not for long: the
    attempt is over, and its slot is another's.

    Raises:
        Interrupt: The lease was revoked and the coroutine let itself be cancelled.
    """
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    # The loop's own threads are the job's: it may keep all of them busy.
    threads = ThreadPoolExecutor(MOST_THREADS, "failsoft-off-loop")
    loop = runner.get_loop()
    loop.set_default_executor(_JobThreads(lease))
    _threads[loop] = threads
    try:
        return lease.call(lambda: runner.run(_watched(main, lease)))
    finally:
        threads.shutdown(wait=False)
        _close(runner)


def _close(runner: asyncio.Runner) -> None:
    closing = threading.Thread(target=runner.close, name="failsoft-close-loop", daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)
    if closing.is_alive():
        _log.warning(
            "a job left tasks or threads behind that do not end; expected it to await or cancel "
            "what it starts"
        )


async def off_loop(work: Callable[[], T]) -> T:
    """Do blocking work in a thread, and see it end whatever happens to this task.

    The thread has a copy of this task's context variables, as that of `asyncio.to_thread` has.

    Raises:
        BaseException: What the work raised; `StepError` in the place of `StopIteration`.
    """
    loop, context = asyncio.get_running_loop(), own_copy()

    def end() -> _Ended[T]:
        return context.run(lambda: _Ended(work))

    done = loop.run_in_executor(_threads.get(loop), end)
    try:
        ended = await asyncio.shield(done)
    except asyncio.CancelledError:
        while not done.done():
            await _once_more(done)
        raise
    if isinstance(ended.error, StopIteration):
        # No coroutine can raise it: it would read as its own return.
        raise StepError("expected a step to return or raise, got StopIteration") from ended.error
    return ended.value()


class _Ended(Generic[T]):
    """What became of work in a thread: a future cannot carry every exception.

    With `StopIteration` it would never be done.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.error: BaseException | None = None
        try:
            self._value = work()
        except BaseException as error:  # noqa: BLE001 - raised again on the loop
            self.error = error

    def value(self) -> T:
        """Return what it returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self._value


async def _once_more(done: "asyncio.Future[Any]") -> None:
    try:
        await asyncio.wait([done])
    except asyncio.CancelledError:
        return


async def _watched(main: Coroutine[Any, Any, T], lease: Lease) -> T:
    canceller = _Canceller()
    try:
        with lease.job_code(canceller):
            value = await main
            lease.end_fork()
            return value
    except asyncio.CancelledError:
        # Cancelled by us, which is an interrupt, or by the job itself, which is its error.
        lease.check()
        raise
    finally:
        main.close()


class _Canceller:
    """Cancels the task of an attempt; interrupts its thread if that does not help."""

    def __init__(self) -> None:
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
