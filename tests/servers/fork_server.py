"""A process that has a worker's code loaded, and forks a process of its own for each order.

Loading takes more than a second of a CPU, and the tests start hundreds of workers. All else is as
if the module had been started by a shell: the process has its own session, environment, folder,
log and exit status. What must be there before the code is loaded, such as another `PYTHONPATH`,
needs a Python of its own.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any, Self

#: What is loaded before the first order comes.
LOADED = ("failsoft.worker.process", "psycopg", "sqlalchemy.dialects.postgresql")
#: What is read of the environment when code is loaded: by Python, and by Dramatiq.
ENV: Mapping[str, str] = MappingProxyType(
    {"PYTHONUNBUFFERED": "1", "dramatiq_restart_delay": "300"}
)
LOOK_SECONDS = 0.005


class Forked:
    """What the fork server has forked; the part of `subprocess.Popen` that the tests use."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid = pid
        self._status = status
        self._ended: int | None = None

    def poll(self) -> int | None:
        if self._ended is None and self._status.exists():
            self._ended = int(self._status.read_text())
        return self._ended

    def wait(self, timeout: float | None = None) -> int:
        patience_ends = monotonic() + timeout if timeout is not None else float("inf")
        while (ended := self.poll()) is None:
            if monotonic() > patience_ends:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            sleep(LOOK_SECONDS)
        return ended

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                self.wait()

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process, seen from the tests; it is started with the first order."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="zygote-")
        self._popen: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._orders = 0

    def fork(
        self, module: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> Forked:
        """Have a process that is `python -m module words...`, its output in a log."""
        log.touch()
        with self._lock:
            self._orders += 1
            status = Path(self._folder.name) / str(self._orders)
            order = {"module": module, "words": list(words), "status": str(status)}
            return Forked(
                self._ask({**order, "env": dict(env), "cwd": str(cwd), "log": str(log)}), status
            )

    def close(self) -> None:
        if self._popen is not None:
            self._popen.communicate()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(self, order: Mapping[str, object]) -> int:
        if self._popen is None:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.fork_server"],
                env={**os.environ, **ENV},
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        return int(stdout.readline())


def main() -> None:
    """Fork for every order, and write down how each process ended."""
    for name in LOADED:
        importlib.import_module(name)
    running: dict[int, Path] = {}
    signal.signal(signal.SIGCHLD, lambda *_: bury(running))
    for line in sys.stdin:
        order = json.loads(line)
        # It must not end before it is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            become(order)
            return
        running[pid] = Path(order["status"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def bury(running: dict[int, Path]) -> None:
    """Write down the exit status of each process that has ended."""
    # The signal may come again meanwhile; whoever finds nobody left has nothing to do.
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            file = running.pop(ended[0])
            draft = file.with_suffix(".draft")
            draft.write_text(str(os.waitstatus_to_exitcode(ended[1])))
            draft.rename(file)


def become(order: Mapping[str, Any]) -> None:
    """Be the module, to the end of the interpreter."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, file in enumerate((nothing, log, log)):
        os.dup2(file, number)
    os.close(nothing)
    os.close(log)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    module: Any = sys.modules[order["module"]]
    # Children of attempts look here for what their parent is.
    sys.modules["__main__"] = module
    sys.argv = [module.__file__, *order["words"]]
    module.main()


if __name__ == "__main__":
    main()
