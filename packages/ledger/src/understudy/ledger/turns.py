"""Whose turn it is to write: the threads of a process queue, and one may write for others."""

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


class Write(Generic[C, T]):
    """What one thread wants to write.

    Attributes:
        is_shared: Whether another thread may do it in its turn.
        has_turn: Whether it is this one's turn.
        is_done: Whether another thread has committed it.
        is_over: Whether nobody waits for it any more.
        following: Whose thread this one's is to wake, once it is awake.
        result: What the work returned.
    """

    __slots__ = (
        *("_told", "_work", "following", "result"),
        *("has_turn", "is_done", "is_over", "is_shared"),
    )

    def __init__(self, work: Callable[[C], T], *, is_shared: bool = True) -> None:
        """Prepare the work, which must leave the same rows behind however often it runs."""
        self._work = work
        self._told: threading.Lock | None = None
        self.is_shared = is_shared
        self.has_turn = self.is_done = self.is_over = False
        self.following: Write[C, Any] | None = None
        self.result: T

    def run(self, connection: C) -> None:
        """Do the work, in whichever thread's transaction."""
        self.result = self._work(connection)

    def expect(self) -> None:
        """Prepare to wait; call it before anybody else knows of the write."""
        self._told = threading.Lock()
        self._told.acquire()

    def tell(self) -> None:
        """Wake the thread that waits, if nobody has."""
        if self._told is not None and self._told.locked():
            self._told.release()

    def wait(self, seconds: float = -1) -> bool:
        """Wait to be told; return whether that came in time."""
        return self._told is None or self._told.acquire(timeout=seconds)


class Turns(Generic[C]):
    """The queue of one process: one thread at a time has the turn."""

    def __init__(self, patience: timedelta) -> None:
        """Let no thread wait longer than that in the queue."""
        self._patience = patience.total_seconds()
        self._mutex = threading.Lock()
        self._waiting: deque[Write[C, Any]] = deque()
        self._is_taken = False
        self._holder: int | None = None
        #: What the holder writes for others; not lost to them wherever it is interrupted.
        self._taken: list[Write[C, Any]] = []

    @property
    def has_others(self) -> bool:
        """Whether the turn has writes of others to finish or to give back."""
        return bool(self._taken)

    def await_turn(self, write: Write[C, Any]) -> None:
        """Wait for the turn, or until another thread has done the write in its own.

        Who has the turn already, or waits in vain, goes on without one. Call `leave` afterwards,
        and also if this was interrupted.
        """
        me = threading.get_ident()
        if self._holder != me:
            self._wait_for(write)
            if write.has_turn:
                self._holder = me

    def leave(self, write: Write[C, Any]) -> None:
        """Pass the turn on, or wait no longer."""
        if not write.is_done:
            self._give_up(write)
        if write.following is not None:
            write.following.tell()

    def take_others(self) -> Sequence[Write[C, Any]]:
        """Take the writes that wait and are shared, to finish them or to give them back."""
        if not self._waiting:
            return ()
        with self._mutex:
            self._taken = [each for each in self._waiting if each.is_shared][:MOST_OTHERS]
            for each in self._taken:
                self._waiting.remove(each)
        return tuple(self._taken)

    def finish_others(self) -> None:
        """Tell those who wait for the writes that were taken that these are committed.

        Each wakes the next one: threads that wake together fight for the interpreter.
        """
        with self._mutex:
            waiting = [each for each in self._taken if not each.is_over]
            for each, following in pairwise(waiting):
                each.following = following
            for each in waiting:
                each.is_done = True
        for first in waiting[:1]:
            first.tell()
        self._taken = []

    def give_others_back(self) -> None:
        """Let the writes that were taken wait on, first; each gets a turn of its own."""
        with self._mutex:
            while self._taken:
                self._give_back(self._taken[-1])
                self._taken.pop()

    def _give_back(self, write: Write[C, Any]) -> None:
        write.is_shared = False
        if write.is_done:
            # Who finished it was interrupted before it said so.
            write.tell()
        elif not write.is_over and write not in self._waiting:
            self._waiting.appendleft(write)

    def _wait_for(self, write: Write[C, Any]) -> None:
        with self._mutex:
            if not self._is_taken:
                self._is_taken = write.has_turn = True
                return
            write.expect()
            self._waiting.append(write)
        if write.wait(self._patience):
            return
        with self._mutex:
            is_in_vain = write in self._waiting
            if is_in_vain:
                self._waiting.remove(write)
        if not is_in_vain:
            # Another thread is about to commit it, or passes the turn on.
            write.wait()

    def _give_up(self, write: Write[C, Any]) -> None:
        if write.has_turn and self._taken:
            self.give_others_back()
        with self._mutex:
            write.is_over = True
            if write.has_turn:
                self._holder = None
                self._pass_on()
            elif write in self._waiting:
                self._waiting.remove(write)

    def _pass_on(self) -> None:
        if self._waiting:
            following = self._waiting.popleft()
            following.has_turn = True
            following.tell()
        else:
            self._is_taken = False
