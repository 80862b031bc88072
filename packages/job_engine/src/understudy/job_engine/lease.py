"""What a running attempt and the one who watches over it share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from understudy.job_engine.interrupts import Interrupt

#: Raises an exception class in the thread of that id, or takes back one not yet raised.
ThreadInterrupter = Callable[[int, type[Interrupt] | None], None]
#: Another way to interrupt a stretch of code; what it is given is the usual one.
Reach = Callable[[ThreadInterrupter, type[Interrupt] | None], None]


def leave_threads_alone(thread_id: int, interrupt: type[Interrupt] | None) -> None:
    """Interrupt no thread: the attempt stops at its next step."""


@dataclass(slots=True, eq=False)
class Stretch:
    """A stretch of the job's own code that runs in a thread.

    Attributes:
        thread: The thread's id.
        reach: How it is interrupted, where that is not by raising in its thread.
        interrupted: Whether it was interrupted, perhaps too late for it to notice.
    """

    thread: int
    reach: Reach | None = None
    interrupted: bool = False


class Lease:
    """The authority of one attempt as this process sees it.

    The watcher revokes it when the ledger fenced the attempt, the lease could not be renewed in
    time (rule 13), the attempt's time is up or the worker stops; the attempt notices at the
    next step, or inside its own code where the interrupter can reach it. Its code may run in
    several threads at once.
    """

    def __init__(self, interrupter: ThreadInterrupter = leave_threads_alone) -> None:
        """Keep the way to interrupt a thread that runs the job's own code."""
        self._interrupter = interrupter
        # A signal handler may revoke in the thread that holds it.
        self._lock = threading.RLock()
        self._revoked_by: type[Interrupt] | None = None
        self._stretches: dict[int, Stretch] = {}

    @property
    def revoked_by(self) -> type[Interrupt] | None:
        """Tell by which interrupt the lease was revoked, if it was."""
        return self._revoked_by

    def revoke(self, interrupt: type[Interrupt], *, at_once: bool = True) -> None:
        """Tell the attempt to stop; the first reason given stays.

        Args:
            interrupt: What the attempt ends with.
            at_once: Whether to interrupt the job's own code, or to wait for the step's end.
        """
        with self._lock:
            if self._revoked_by is not None:
                return
            self._revoked_by = interrupt
            if at_once:
                for stretch in list(self._stretches.values()):
                    self._reach(stretch, interrupt)

    def interrupt(self, stretch: Stretch, interrupt: type[Interrupt]) -> None:
        """Interrupt one stretch of the job's own code, unless it is over or the lease is lost."""
        with self._lock:
            mine = self._stretches.get(stretch.thread) is stretch
            if mine and self._revoked_by is None:
                self._reach(stretch, interrupt)

    def check(self) -> None:
        """Go on only if the lease was not revoked.

        Raises:
            Interrupt: The one it was revoked with.
        """
        if self._revoked_by is not None:
            raise self._revoked_by

    @contextmanager
    def job_code(self, reach: Reach | None = None) -> Iterator[Stretch]:
        """Mark a stretch of the job's own code: only there may it be interrupted."""
        self.check()
        stretch = Stretch(threading.get_ident(), reach)
        with self._lock:
            self._stretches[stretch.thread] = stretch
        try:
            yield stretch
        finally:
            self._leave()

    @contextmanager
    def our_code(self) -> Iterator[None]:
        """Mark a stretch of our own code inside the job's."""
        thread = threading.get_ident()
        stretch = self._leave()
        try:
            yield
        finally:
            with self._lock:
                if stretch is not None:
                    self._stretches[thread] = stretch
        if stretch is not None:
            self.check()

    def _reach(self, stretch: Stretch, interrupt: type[Interrupt]) -> None:
        stretch.interrupted = True
        self._send(stretch, interrupt)

    def _send(self, stretch: Stretch, interrupt: type[Interrupt] | None) -> None:
        if stretch.reach is not None:
            stretch.reach(self._interrupter, interrupt)
        else:
            self._interrupter(stretch.thread, interrupt)

    def _leave(self) -> Stretch | None:
        try:
            return self._forget_mine()
        except Interrupt:
            # It came just before it could be taken back.
            self._forget_mine()
            raise

    def _forget_mine(self) -> Stretch | None:
        thread = threading.get_ident()
        with self._lock:
            stretch = self._stretches.pop(thread, None)
            if stretch is not None and stretch.interrupted:
                stretch.interrupted = False
                self._send(stretch, None)
            return stretch
