"""Worker processes that are certainly dead, and how that is established.

An overdue heartbeat proves no death: the process may be frozen, or cut off from the ledger. A
process is dead if its parent reaped it, or if it does not exist on its machine any more.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.ports.ledger import WorkerLedger
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.worker.processes.sessions import birth, this_machine

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: The pause before a notice is sent again to a ledger that was away.
PAUSE = timedelta(milliseconds=500)
#: How long a supervisor that ends waits until its notices are recorded.
LAST_NOTICES = timedelta(seconds=2)


def has_gone(worker: WorkerRecord) -> bool:
    """Whether a worker of this machine has certainly ended."""
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # Another user's process: it exists.
        return False
    # The id may have been reused since.
    now = birth(worker.pid)
    return bool(now and worker.birth and now != worker.birth)


class NeighbourWatch:
    """Marks workers of this machine as dead whose processes have ended.

    For a supervisor that was killed with its children, and for workers without a supervisor.
    """

    def __init__(self, ledger: WorkerLedger, machine: str | None = None) -> None:
        self._ledger = ledger
        self._machine = this_machine() if machine is None else machine

    def tick(self) -> None:
        """Look once.

        Raises:
            LedgerError: The workers could not be read or marked; look again later.
        """
        if not self._machine:
            return
        for worker in self._ledger.workers_on(self._machine):
            if has_gone(worker):
                logger.warning("worker %s (pid %s) has gone", worker.boot_id, worker.pid)
                self._ledger.mark_dead(worker)


class DeathNotices:
    """Marks the children in the ledger that a supervisor has reaped, in a thread of its own.

    The ledger is opened only for that, and closed again: most supervisors never use it.

    Args:
        open_ledger: Opens the ledger, and returns it with what closes it again.
    """

    def __init__(
        self, open_ledger: Callable[[], tuple[WorkerLedger, Callable[[], object]]]
    ) -> None:
        self._open = open_ledger
        self._unmarked: deque[WorkerRecord] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()

    def note(self, worker: WorkerRecord) -> None:
        """Take note of a dead child, without waiting for the ledger."""
        with self._lock:
            self._unmarked.append(worker)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="failsoft-deaths", daemon=True
                )
                self._thread.start()

    def finish(self, timeout: timedelta | None = LAST_NOTICES) -> None:
        """Wait until all are marked, for at most the timeout if there is one."""
        thread = self._thread
        if thread is not None:
            thread.join(None if timeout is None else timeout.total_seconds())

    def _run(self) -> None:
        while True:
            try:
                self._mark_all()
            except LedgerUnavailableError as error:
                logger.warning("a dead worker is not marked yet: %s", error)
            except Exception:
                # Its jobs go on when their leases have expired.
                logger.exception("a dead worker could not be marked")
                self._unmarked.clear()
            with self._lock:
                if not self._unmarked:
                    self._thread = None
                    return
            self._pause.wait(PAUSE.total_seconds())

    def _mark_all(self) -> None:
        ledger, close = self._open()
        try:
            while self._unmarked:
                ledger.mark_dead(self._unmarked[0])
                self._unmarked.popleft()
        finally:
            close()
