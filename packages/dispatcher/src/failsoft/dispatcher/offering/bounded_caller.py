"""Calls with a deadline of our own, whatever the client library does (rule 16)."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError

T = TypeVar("T")

#: How often an idle thread keeps its engine's connection alive, in seconds.
IDLE_SECONDS = 3.0


def nothing() -> None:
    """Do nothing."""


class Caller(Protocol):
    """Something that calls an engine and returns by the deadline."""

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns.

        Raises:
            EngineUnavailableError: The time was up before `work` began.
            OfferUncertainError: It was up while `work` ran; it may still end well.
        """
        ...

    def close(self) -> None:
        """Release what is kept for the next call."""


class DirectCaller:
    """Call in this thread; for engines in memory and for simulations."""

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns, however long it takes."""
        return work()

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class _Call:
    """One call and its result.

    Bare locks and no future or condition: this is on the path of every dispatch.
    """

    __slots__ = ("begun", "done", "error", "result", "thread", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.thread: _Thread | None = None
        # Acquired by the thread, which then begins the work, or by the caller that gives it up.
        self.begun = threading.Lock()
        self.done = _taken_lock()

    def run(self) -> None:
        if not self.begun.acquire(blocking=False):
            return
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            self.error = error


class _Thread:
    """One thread, the lock that wakes it, and its present call."""

    __slots__ = ("call", "wake")

    def __init__(self, call: _Call) -> None:
        self.wake = _taken_lock()
        self.take(call)

    def take(self, call: _Call | None) -> None:
        self.call = call
        if call is not None:
            call.thread = self


class BoundedCaller:
    """Call in threads of its own, and replace a thread whose call does not return.

    A thread that is stuck in a dead socket is abandoned, so that a silent server costs its callers
    their deadline and nothing else. The threads are daemons: none keeps a process from ending.
    """

    def __init__(
        self,
        name: str,
        *,
        threads: int,
        spare: int = 4,
        idle: Callable[[], None] = nothing,
        on_thread_end: Callable[[], None] = nothing,
        last: Callable[[], None] = nothing,
    ) -> None:
        """Start no thread before it is needed.

        Args:
            name: The engine's, for the threads' names and the errors.
            threads: How many calls may run side by side.
            spare: How many threads may be stuck before no more are started.
            idle: Called now and then by each idle thread, to keep its connection alive.
            on_thread_end: Called by each thread that ends, to close a connection of its own. One
                that was stuck ends when its call returns, if another has taken its place.
            last: Called by each thread that ends when all do, to close what they share.
        """
        self._name = name
        self._threads = threads
        self._spare = spare
        self._idle_work = idle
        self._end_work = on_thread_end
        self._last_work = last
        self._reset()

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Return what `work` returns, or raise when the deadline has passed."""
        if self._pid != os.getpid():
            # Threads do not survive a fork (DQ-15).
            self._reset()
        call = _Call(work)
        self._hand_over(call)
        if not call.done.acquire(timeout=deadline.remaining()):
            raise self._give_up(call)
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._is_closed = False
        self._lock = threading.Lock()
        self._all: set[_Thread] = set()
        self._idle: list[_Thread] = []
        self._keeping: set[_Thread] = set()
        self._stuck: set[_Thread] = set()
        self._waiting: deque[_Call] = deque()

    def close(self) -> None:
        """End the threads, each when its call is over; a later call starts new ones."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for thread in idle:
                thread.wake.release()

    def _hand_over(self, call: _Call) -> None:
        with self._lock:
            self._is_closed = False
            if self._idle:
                thread = self._idle.pop()
                thread.take(call)
                thread.wake.release()
            elif self._may_start():
                self._start(call)
            else:
                self._waiting.append(call)

    def _may_start(self) -> bool:
        usable = len(self._all) - len(self._stuck)
        return usable < self._threads and len(self._stuck) <= self._spare

    def _start(self, call: _Call) -> None:
        thread = _Thread(call)
        self._all.add(thread)
        name = f"failsoft-{self._name}"
        threading.Thread(target=self._run, args=(thread,), name=name, daemon=True).start()

    def _give_up(self, call: _Call) -> EngineUnavailableError | OfferUncertainError:
        never_began = call.begun.acquire(blocking=False)
        with self._lock:
            if never_began:
                # A connection that hangs while it is kept alive is stuck like any other.
                self._stuck |= self._keeping
            elif call.thread is not None and call.thread.call is call:
                self._stuck.add(call.thread)
            while self._waiting and self._may_start():
                # Calls that wait behind a stuck thread get another.
                self._start(self._waiting.popleft())
        if never_began:
            return EngineUnavailableError(f"{self._name} was still busy with earlier calls")
        return OfferUncertainError(f"{self._name} did not answer in time")

    def _run(self, thread: _Thread) -> None:
        more = True
        while more:
            call = thread.call
            if call is None:
                self._keep_alive()
                more, is_idle = self._settle(thread)
            else:
                call.run()
                more, is_idle = self._settle(thread)
                # Only now: a caller that has its answer may call again, and this thread is free.
                call.done.release()
            if is_idle:
                # Not by `thread.call`: a call that was handed over meanwhile has woken the thread,
                # and a wake that is not waited for would let it lie idle twice.
                self._await_call(thread)
        # Neither connection is used any more.
        with contextlib.suppress(Exception):
            self._end_work()
        if self._is_closed:
            with contextlib.suppress(Exception):
                self._last_work()

    def _settle(self, thread: _Thread) -> tuple[bool, bool]:
        """Take the next call, or become idle; return whether it goes on, and whether it is idle.

        A thread that is to end does not go on.
        """
        with self._lock:
            self._keeping.discard(thread)
            self._stuck.discard(thread)
            is_surplus = len(self._all) - len(self._stuck) > self._threads
            if is_surplus or (self._is_closed and not self._waiting):
                self._all.discard(thread)
                return False, False
            thread.take(self._waiting.popleft() if self._waiting else None)
            is_idle = thread.call is None
            if is_idle:
                self._idle.append(thread)
            return True, is_idle

    def _await_call(self, thread: _Thread) -> None:
        if thread.wake.acquire(timeout=IDLE_SECONDS):
            return
        with self._lock:
            if thread in self._idle:
                self._idle.remove(thread)
                self._keeping.add(thread)
                return
        # A call was handed over at the last moment.
        thread.wake.acquire()

    def _keep_alive(self) -> None:
        if not self._is_closed:
            with contextlib.suppress(Exception):  # the next call raises it
                self._idle_work()


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
