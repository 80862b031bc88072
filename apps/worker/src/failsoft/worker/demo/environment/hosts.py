"""A host that runs workers, represented by a process tree that is killed as a whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from failsoft.worker.demo.environment import host_process


class WorkerHost:
    """The workers of one engine, supervised as by `failsoft worker`; their logs go to a file.

    They end with the thread that started them, however it ends.

    Attributes:
        engine: The engine they serve.
        log: The file that holds what they logged.
    """

    def __init__(self, engine: str, queues: Sequence[str], log: Path) -> None:
        self.engine = engine
        self.log = log
        program = (sys.executable, "-m", host_process.__name__)
        self._command = (*program, str(os.getpid()), engine, *queues)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the supervisor, which starts a worker process for each queue."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which stops them in order
            )

    def kill(self) -> None:
        """End all of it by SIGKILL, as when the host is lost."""
        if self._process is not None:
            others = _others(self._process.pid)
            self._process.kill()
            for pid in others:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.wait(timedelta(0))

    @property
    def is_running(self) -> bool:
        """Whether its supervisor runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Send the workers SIGTERM; `wait` waits for their end."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, patience: timedelta) -> None:
        """Wait until all have ended, and kill them when the patience is over."""
        if self._process is not None:
            try:
                self._process.wait(patience.total_seconds())
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None


def _others(supervisor: int) -> Sequence[int]:
    if sys.platform == "linux":
        # The kernel ends every process with its parent.
        return ()
    else:  # noqa: RET505 - the type checkers know a platform by its branch
        # They notice within a second, in which the import could end.
        listing = subprocess.check_output(["/bin/ps", "-A", "-o", "pid=,ppid="], text=True)
        return descendants(listing, supervisor)


def descendants(listing: str, root: int) -> Sequence[int]:
    """Return the descendants of a process, by a listing of process and parent ids."""
    pairs = [(int(pid), int(parent)) for pid, parent in map(str.split, listing.splitlines())]
    found = [root]
    for ancestor in found:
        found += [pid for pid, parent in pairs if parent == ancestor]
    return found[1:]
