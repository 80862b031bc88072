"""What a running attempt and its lease keeper share."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from failsoft.job_engine.attempt.interrupts import CutOff, Fenced, Interrupt, Released
from failsoft.job_engine.attempt.own_process import ForkedError, end_fork

T = TypeVar("T")

#: Raises an exception class in the thread of that id, or takes back one not yet raised.
ThreadInterrupter = Callable[[int, type[Interrupt] | None], None]
#: Another way to interrupt code; what it is given is the usual one.
InterruptVia = Callable[[ThreadInterrupter, type[Interrupt] | None], None]


def leave_threads_alone(thread_id: int, interrupt: type[Interrupt] | None) -> None:
    """Interrupt no thread: the attempt stops at its next step."""


@dataclass(slots=True, eq=False)
class RunningCode:
    """Code of the job's own that runs in a thread.

    Attributes:
        thread: The thread's id.
        reach: How it is interrupted, where that is not by raising in its thread.
        interrupted: Whether it was interrupted, perhaps too late for it to notice.
    """

    thread: int
    reach: InterruptVia | None = None
    interrupted: bool = False


class Lease:
    """The authority of one attempt as this process sees it.

    The watcher revokes it when the ledger fenced the attempt, the lease could not be renewed in
    time (rule 13), the attempt's time is up or the worker stops; the attempt notices at the
    next step, or inside its own code where the interrupter can reach it. Its code may run in
    several threads at once, and in this process only: a fork of it has no authority.
    """

    def __init__(
        self,
        interrupter: ThreadInterrupter = leave_threads_alone,
        left_code: Callable[[], object] | None = None,
    ) -> None:
        """Hold the authority until it is revoked.

        Args:
            interrupter: How the job's own code is interrupted.
            left_code: Called once when the job's code is over, before its end is recorded.
        """
        self._interrupter = interrupter
        self._left_code = left_code
        self._process = os.getpid()
        #: How often the attempt made sure of its authority, which it does at whatever it begins.
        self.checks: int = 0
        # A signal handler may revoke in the thread that holds it.
        self._lock = threading.RLock()
        self._revoked_by: type[Interrupt] | None = None
        self._running: dict[int, RunningCode] = {}
        self._has_ended = False
        self._asking: set[int] = set()
        self._excused = 0.0
        self._excused_until = float("-inf")

    @property
    def revoked_by(self) -> type[Interrupt] | None:
        """Return the interrupt by which the lease was revoked, if it was."""
        return self._revoked_by

    @property
    def has_ended(self) -> bool:
        """Return whether the job's code is over, and only its end is still to be recorded."""
        return self._has_ended

    @property
    def is_in_job_code(self) -> bool:
        """Return whether the job's own code runs now, in any thread."""
        return bool(self._running)

    @property
    def is_asking(self) -> bool:
        """Return whether the attempt waits for an answer of the ledger now."""
        return bool(self._asking)

    @property
    def excused(self) -> float:
        """Return how many seconds the attempt waited for the ledger: not the job's own time."""
        return self._excused

    def end(self) -> None:
        """Take the job's code for over: from now on nothing but `Fenced` can revoke the lease."""
        with self._lock:
            had_ended, self._has_ended = self._has_ended, True
        if self._left_code is not None and not had_ended:
            self._left_code()

    def calling_ledger(self) -> None:
        """Mark that this thread waits for the ledger: until `answered`, no time of the job's."""
        self._asking.add(threading.get_ident())

    def answered(self) -> None:
        """Mark that this thread waits for the ledger no more."""
        self._asking.discard(threading.get_ident())

    def excuse(self, since: float, until: float) -> None:
        """Count a span of steady time in which the ledger was away; a moment counts once."""
        with self._lock:
            self._excused += max(0.0, until - max(since, self._excused_until))
            self._excused_until = max(until, self._excused_until)

    def revoke(self, interrupt: type[Interrupt], *, immediately: bool = True) -> None:
        """Stop the attempt; the first reason given stays.

        Only a lost lease is worse than a request to give the job back at the next step, and
        takes its place.

        Args:
            interrupt: What the attempt ends with.
            immediately: Whether to interrupt the job's own code, or to wait for the step's end.
        """
        with self._lock:
            if self._has_ended and interrupt is not Fenced:
                return
            asked_to_release = self._revoked_by is Released and interrupt in (Fenced, CutOff)
            if self._revoked_by is not None and not asked_to_release:
                return
            self._revoked_by = interrupt
            if immediately:
                for code in list(self._running.values()):
                    self._reach(code, interrupt)

    def interrupt(self, code: RunningCode, interrupt: type[Interrupt]) -> None:
        """Interrupt the code of one thread, unless it is over or the lease is lost."""
        with self._lock:
            mine = self._running.get(code.thread) is code
            if mine and self._revoked_by is None:
                self._reach(code, interrupt)

    def check(self) -> None:
        """Go on only if the lease was not revoked, and is this process's.

        Raises:
            Interrupt: The one it was revoked with, or `ForkedError`.
        """
        self.expect_own_process()
        self.checks += 1
        if self._revoked_by is not None:
            raise self._revoked_by

    def expect_own_process(self) -> None:
        """Go on only in the process that has the authority.

        Raises:
            ForkedError: This one is a fork of it.
        """
        if os.getpid() != self._process:
            raise ForkedError(self._process)

    def end_fork(self, error: BaseException | None = None) -> None:
        """End this process if it is a fork of the attempt's, in which the job's code is over."""
        if os.getpid() != self._process:
            end_fork(error)

    def call(self, work: Callable[[], T]) -> T:
        """Call the job's own code; a fork that comes out of it ends there."""
        try:
            value = work()
        except BaseException as error:
            self.end_fork(error)
            raise
        self.end_fork()
        return value

    @contextmanager
    def job_code(self, reach: InterruptVia | None = None) -> Iterator[RunningCode]:
        """Mark code of the job's own: only there may it be interrupted."""
        self.check()
        code = RunningCode(threading.get_ident(), reach)
        with self._lock:
            self._running[code.thread] = code
        try:
            yield code
        finally:
            self._leave()

    @contextmanager
    def our_code(self) -> Iterator[None]:
        """Mark code of our own inside the job's."""
        # Before the lock, which another thread may have held at the fork.
        self.expect_own_process()
        thread = threading.get_ident()
        code = self._leave()
        try:
            yield
        finally:
            with self._lock:
                if code is not None:
                    self._running[thread] = code
        if code is not None:
            self.check()

    def _reach(self, code: RunningCode, interrupt: type[Interrupt]) -> None:
        code.interrupted = True
        self._send(code, interrupt)

    def _send(self, code: RunningCode, interrupt: type[Interrupt] | None) -> None:
        if code.reach is not None:
            code.reach(self._interrupter, interrupt)
        else:
            self._interrupter(code.thread, interrupt)

    def _leave(self) -> RunningCode | None:
        try:
            return self._forget_mine()
        except Interrupt:
            # It came just before it could be taken back.
            self._forget_mine()
            raise

    def _forget_mine(self) -> RunningCode | None:
        thread = threading.get_ident()
        with self._lock:
            code = self._running.pop(thread, None)
            if code is not None and code.interrupted:
                code.interrupted = False
                self._send(code, None)
            return code
