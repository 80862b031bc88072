"""What a running attempt and the one who watches over it share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from understudy.job_engine.interrupts import Interrupt

#: Raises an exception class in the thread of that id, or takes back one not yet raised.
ThreadInterrupter = Callable[[int, type[Interrupt] | None], None]


def leave_threads_alone(thread_id: int, interrupt: type[Interrupt] | None) -> None:
    """Interrupt no thread: the attempt stops at its next step."""


class Lease:
    """The authority of one attempt as this process sees it.

    The watcher revokes it when the ledger fenced the attempt, the lease could not be renewed in
    time (rule 13), the attempt's time is up or the worker stops; the attempt notices at the
    next step, or inside its own code where the interrupter can reach it.
    """

    def __init__(self, interrupter: ThreadInterrupter = leave_threads_alone) -> None:
        """Keep the way to interrupt a thread that runs the job's own code."""
        self._interrupter = interrupter
        # A signal handler may revoke in the thread that holds it.
        self._lock = threading.RLock()
        self._revoked_by: type[Interrupt] | None = None
        self._job_thread: int | None = None

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
            if at_once and self._job_thread is not None:
                self._interrupter(self._job_thread, interrupt)

    def check(self) -> None:
        """Go on only if the lease was not revoked.

        Raises:
            Interrupt: The one it was revoked with.
        """
        if self._revoked_by is not None:
            raise self._revoked_by

    @contextmanager
    def job_code(self) -> Iterator[None]:
        """Mark a stretch of the job's own code: only there may it be interrupted."""
        self.check()
        with self._lock:
            self._job_thread = threading.get_ident()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def our_code(self) -> Iterator[None]:
        """Mark a stretch of our own code inside the job's."""
        thread = self._job_thread
        if thread is not None:
            self._leave()
        try:
            yield
        finally:
            with self._lock:
                self._job_thread = thread
        if thread is not None:
            self.check()

    def _leave(self) -> None:
        with self._lock:
            thread, self._job_thread = self._job_thread, None
            if thread is not None and self._revoked_by is not None:
                self._interrupter(thread, None)
