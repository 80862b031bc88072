"""Whose turn it is to write: the threads of a process queue, and one may write for others.

A thread may be interrupted at any line: by Ctrl-C, or in a job's own code that dispatches a job.
Whatever it leaves half done is done again by `leave`, and no thread waits for another without
looking again.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Generic, TypeVar

C = TypeVar("C")
T = TypeVar("T")

#: So many writes of others at most in one turn: other processes wait as well.
MOST_OTHERS = 64


class PendingWrite(Generic[C, T]):
    """A write of one thread.

    Attributes:
        thread: The thread's identity.
        is_shared: Whether another thread may do it in its turn.
        is_done: Whether another thread has committed it.
        is_over: Whether no thread waits for it any more.
        following: The write whose thread this one's wakes next.
        result: What the work returned.
    """

    __slots__ = (
        "_notified",
        "_work",
        "following",
        "is_done",
        "is_over",
        "is_shared",
        "result",
        "thread",
    )

    def __init__(self, work: Callable[[C], T], *, is_shared: bool = True) -> None:
        """Prepare the work of this thread.

        Args:
            work: Leaves the same rows behind however often it runs, in whichever thread, and
                raises nothing but `Exception`: anything else would end another thread's work.
            is_shared: Whether another thread may do it.
        """
        self._work = work
        self._notified: threading.Lock | None = None
        self.thread: int = threading.get_ident()
        self.is_shared: bool = is_shared
        self.is_done: bool = False
        self.is_over: bool = False
        self.following: PendingWrite[C, Any] | None = None
        self.result: T

    def run(self, connection: C) -> None:
        """Do the work in a transaction."""
        self.result = self._work(connection)

    def expect(self) -> None:
        """Prepare to wait; call it before the write is queued."""
        self._notified = threading.Lock()
        self._notified.acquire()

    def notify(self) -> None:
        """Wake the thread that waits, if it does; it looks why."""
        if self._notified is not None and self._notified.locked():
            self._notified.release()

    def wait(self, seconds: float) -> bool:
        """Wait for `notify`; return whether that came in time."""
        return self._notified is None or self._notified.acquire(timeout=seconds)


class WriteQueue(Generic[C]):
    """The queue of one process: one write at a time has the turn, others wait so long at most."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self._mutex = threading.Lock()
        self._waiting: deque[PendingWrite[C, Any]] = deque()
        self._owner: PendingWrite[C, Any] | None = None
        self._taken: list[PendingWrite[C, Any]] = []

    @property
    def has_others(self) -> bool:
        """Whether the turn has writes of others to finish or to give back."""
        return bool(self._taken)

    def is_mine(self) -> bool:
        """Return whether a write of this thread has the turn."""
        owner = self._owner
        return owner is not None and owner.thread == threading.get_ident()

    def acquire(self, write: PendingWrite[C, Any]) -> bool:
        """Wait for the turn, or until another thread has done the write; then `leave`.

        Returns:
            Whether the write has the turn. If not, and it is not done either, its thread has the
            turn already or has waited in vain: it goes on without one.
        """
        if self.is_mine():
            return False
        self._join(write)
        while not (write.is_done or self._owner is write):
            if not write.wait(self._patience) and self._is_in_vain(write):
                return False
        return self._owner is write

    def leave(self, write: PendingWrite[C, Any]) -> None:
        """Pass the turn on, or wait no longer; call it again if it is interrupted."""
        if not write.is_done:
            with self._mutex:
                write.is_over = True
                if self._owner is write:
                    self._give_back()
                    self._owner = self._waiting[0] if self._waiting else None
                self._let_go_on(write)
        if write.following is not None:
            write.following.notify()

    def take_batch(self) -> Sequence[PendingWrite[C, Any]]:
        """Take the shared writes that wait; the one that has the turn finishes all or none."""
        if not self._waiting:
            return ()
        with self._mutex:
            self._taken = [each for each in self._waiting if each.is_shared][:MOST_OTHERS]
            for each in self._taken:
                self._waiting.remove(each)
        return tuple(self._taken)

    def finish_others(self) -> None:
        """Notify the threads whose writes were taken and are committed.

        Each wakes the next one: threads that wake together fight for the interpreter.
        """
        with self._mutex:
            waiting = [each for each in self._taken if not each.is_over]
            for each, following in pairwise(waiting):
                each.following = following
            for each in waiting:
                each.is_done = True
        for first in waiting[:1]:
            first.notify()
        self._taken = []

    def give_others_back(self) -> None:
        """Let the writes that were taken wait on, first; each gets a turn of its own."""
        with self._mutex:
            self._give_back()

    def _join(self, write: PendingWrite[C, Any]) -> None:
        with self._mutex:
            if self._owner is None:
                self._owner = write
                return
            write.expect()
            self._waiting.append(write)

    def _is_in_vain(self, write: PendingWrite[C, Any]) -> bool:
        with self._mutex:
            if write in self._waiting:
                self._waiting.remove(write)
                return True
            # Else another thread commits it just now, or has just notified it.
            return write not in self._taken and self._owner is not write

    def _let_go_on(self, write: PendingWrite[C, Any]) -> None:
        if write in self._waiting:
            self._waiting.remove(write)
        owner = self._owner
        if owner is not None and owner in self._waiting:
            self._waiting.remove(owner)
        if owner is not None:
            owner.notify()

    def _give_back(self) -> None:
        while self._taken:
            each = self._taken[-1]
            each.is_shared = False
            if each.is_done:
                # It was about to be notified of its commit when the notifier was interrupted.
                each.notify()
            elif not each.is_over and each not in self._waiting:
                self._waiting.appendleft(each)
            self._taken.pop()
