"""Calls with a deadline of our own, whatever the client library does (rule 16)."""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol, TypeVar

from understudy.job_engine.clock import Deadline
from understudy.job_engine.errors import EngineUnavailableError, OfferUncertainError

T = TypeVar("T")

#: How often an idle thread looks after its engine's connection, in seconds.
IDLE_SECONDS = 3.0


#: A call and where its result goes; what it returns is known where it was made.
_Call = tuple[Future[Any], Callable[[], Any]]


class Caller(Protocol):
    """Something that calls an engine and comes back by the deadline."""

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns.

        Raises:
            EngineUnavailableError: The time was up before `work` began.
            OfferUncertainError: It was up while `work` ran; it may still end well.
        """
        ...


class DirectCaller:
    """Call in this thread; for engines in memory and for simulations."""

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns, however long it takes."""
        return work()


class BoundedCaller:
    """Call in threads of its own, and leave a thread that does not come back.

    A thread that is stuck in a dead socket is given up and replaced, so that one silent server
    costs its callers their deadline and nothing else. The threads are daemons: none keeps a
    process from ending.
    """

    def __init__(
        self, name: str, *, threads: int, spare: int = 4, idle: Callable[[], None] | None = None
    ) -> None:
        """Prepare; threads start when they are needed.

        Args:
            name: Whose threads they are.
            threads: How many calls may run side by side.
            spare: How many threads may be stuck before no more are started.
            idle: Called now and then by each idle thread, to keep its connection alive.
        """
        self._name = name
        self._threads = threads
        self._spare = spare
        self._idle_work = idle
        self._reset()

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns, or raise when the deadline has passed."""
        if self._pid != os.getpid():
            # Threads do not live on in a forked child (DQ-15).
            self._reset()
        future: Future[T] = Future()
        self._calls.put((future, work))
        self._start_thread_if_needed()
        try:
            return future.result(timeout=deadline.remaining())
        except FutureTimeoutError:
            if not future.done():
                raise self._give_up(future) from None
            raise

    def _give_up(self, future: Future[T]) -> EngineUnavailableError | OfferUncertainError:
        if future.cancel():
            return EngineUnavailableError(f"{self._name} was still busy with earlier calls")
        with self._lock:
            self._stuck += 1
        future.add_done_callback(self._came_back)
        return OfferUncertainError(f"{self._name} did not answer in time")

    def _came_back(self, future: Future[T]) -> None:
        with self._lock:
            self._stuck -= 1

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._calls: queue.Queue[_Call] = queue.Queue()
        self._running = 0
        self._idle = 0
        self._stuck = 0

    def _start_thread_if_needed(self) -> None:
        with self._lock:
            usable = self._running - self._stuck
            enough = self._idle >= self._calls.qsize() or usable >= self._threads
            if enough or self._stuck > self._spare:
                return
            self._running += 1
        threading.Thread(target=self._run, name=f"understudy-{self._name}", daemon=True).start()

    def _run(self) -> None:
        while True:
            call = self._next_call()
            if call is None:
                continue
            future, work = call
            if future.set_running_or_notify_cancel():
                _perform(future, work)
            if self._surplus():
                return

    def _next_call(self) -> _Call | None:
        with self._lock:
            self._idle += 1
        try:
            return self._calls.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            if self._idle_work is not None:
                with contextlib.suppress(Exception):  # the next call will find out and tell
                    self._idle_work()
            return None
        finally:
            with self._lock:
                self._idle -= 1

    def _surplus(self) -> bool:
        # A thread that came back after it was replaced is one too many.
        with self._lock:
            if self._running - self._stuck <= self._threads:
                return False
            self._running -= 1
            return True


def _perform(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
        future.set_exception(error)
    else:
        future.set_result(result)
