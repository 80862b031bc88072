"""Worker processes that are known to be dead, and how that is known.

A heartbeat that is overdue is no death: its process may be frozen, or cut off from the ledger. A
process is dead if its parent reaped it, or if the machine that it ran on has it no more.
"""

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.ports.ledger import WorkerLedger
from failsoft.job_engine.records.job import WorkerRecord

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: The pause before a ledger that is away is told again, and how long a parent that ends tells it.
PAUSE = timedelta(milliseconds=500)
LAST_WORDS = timedelta(seconds=2)

#: The places of its session and its start in what follows the name of a process in
#: `/proc/<pid>/stat`.
_SESSION, _START_TIME = 3, 19


def this_machine() -> str:
    """Return what process ids are unique in: a boot of a kernel and a PID namespace.

    Empty where that cannot be known: there, no process is ever taken for dead by its id.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{boot} {namespace}"


def birth(pid: int) -> str:
    """Return when a process began, in ticks since the boot; empty if it cannot be read."""
    fields = _fields(Path(f"/proc/{pid}"))
    return fields[_START_TIME] if len(fields) > _START_TIME else ""


def _session(process: Path) -> int | None:
    fields = _fields(process)
    return int(fields[_SESSION]) if len(fields) > _SESSION else None


def _fields(process: Path) -> list[str]:
    try:
        stat = (process / "stat").read_text(errors="replace")
    except OSError:
        return []
    # The name may hold spaces and parentheses; what follows the last one does not.
    return stat.rpartition(")")[2].split()


def end_session(leader: int) -> None:
    """Kill what a process that led a session, and is gone, has left behind in it.

    What a job started in a session of its own is meant to outlive its worker. Where `/proc` does
    not tell sessions, only the process's own group is ended.
    """
    if birth(leader):
        # The number is another process's by now: a session has its leader's as long as it lasts.
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for folder in Path("/proc").glob("[0-9]*"):
        if _session(folder) == leader:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(folder.name), signal.SIGKILL)


def has_gone(worker: WorkerRecord) -> bool:
    """Tell whether a worker of this machine has ended for certain."""
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # Another user's process: it is there.
        return False
    # Its id may have been given to another process since.
    now = birth(worker.pid)
    return bool(now and worker.birth and now != worker.birth)


class NeighbourWatch:
    """Mark the workers of this machine as dead whose processes have gone.

    For a supervisor that was killed with its children, and those that have none.
    """

    def __init__(self, ledger: WorkerLedger, machine: str | None = None) -> None:
        """Watch over the machine that this process runs on."""
        self._ledger = ledger
        self._machine = this_machine() if machine is None else machine

    def tick(self) -> None:
        """Look once.

        Raises:
            LedgerError: The ledger could not be asked; look again later.
        """
        if not self._machine:
            return
        for worker in self._ledger.workers_on(self._machine):
            if has_gone(worker):
                logger.warning("worker %s (pid %s) has gone", worker.boot_id, worker.pid)
                self._ledger.mark_dead(worker)


class DeathNotices:
    """Tell the ledger of children that a supervisor has reaped, in a thread of its own.

    The ledger is opened for the first one only, and closed again: most supervisors never use it.
    """

    def __init__(
        self, open_ledger: Callable[[], tuple[WorkerLedger, Callable[[], object]]]
    ) -> None:
        """Prepare.

        Args:
            open_ledger: Opens the ledger, and returns it with what closes it again.
        """
        self._open = open_ledger
        self._untold: deque[WorkerRecord] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()

    def note(self, worker: WorkerRecord) -> None:
        """Take note of a dead child; never waits for the ledger."""
        with self._lock:
            self._untold.append(worker)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._tell_all, name="failsoft-deaths", daemon=True
                )
                self._thread.start()

    def finish(self, timeout: timedelta = LAST_WORDS) -> None:
        """Wait a little until the ledger knows of all."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout.total_seconds())

    def _tell_all(self) -> None:
        while True:
            try:
                self._emit()
            except LedgerUnavailableError as error:
                logger.warning("a dead worker is not marked yet: %s", error)
            except Exception:
                # Its jobs go on when their leases have run out.
                logger.exception("a dead worker could not be marked")
                self._untold.clear()
            with self._lock:
                if not self._untold:
                    self._thread = None
                    return
            self._pause.wait(PAUSE.total_seconds())

    def _emit(self) -> None:
        ledger, close = self._open()
        try:
            while self._untold:
                ledger.mark_dead(self._untold[0])
                self._untold.popleft()
        finally:
            close()
