"""A process that has code loaded, and forks a process of its own for each order.

Loading a worker or the command line takes one to two seconds of a CPU, and the tests start
hundreds of them. All else is as if the module had been started by a shell: the process has its own
session, environment, folder, log and exit status. What must be there before the code is loaded,
such as another `PYTHONPATH`, needs a Python of its own.
"""

import ctypes
import gc
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
from types import MappingProxyType, ModuleType
from typing import Any, Self

from setproctitle import setproctitle

#: The engines that tests use unless they say otherwise. They are found by their entry points when
#: settings are read: without them here every fork would load two hundred modules for itself.
ENGINE_KINDS = ("rq", "dramatiq")
ENGINES = tuple(f"failsoft.engines.{kind}.plugin" for kind in ENGINE_KINDS)
#: What a worker loads.
WORKER = ("failsoft.worker.process", "psycopg", "sqlalchemy.dialects.postgresql", *ENGINES)
#: What most commands load.
COMMAND_LINE = (
    "failsoft.worker.cli",
    *(f"failsoft.worker.cli.{name}" for name in ("worker", "engines", "doctor", "dev")),
    *(f"failsoft.worker.cli.{name}" for name in ("jobs.commands", "jobs.dispatch")),
    "failsoft.worker.cli.ledger.commands",
    *ENGINES,
)
#: What is read of the environment when code is loaded: by Python, and by Dramatiq.
ENV: Mapping[str, str] = MappingProxyType(
    {"PYTHONUNBUFFERED": "1", "dramatiq_restart_delay": "300"}
)
LOOK_SECONDS = 0.005
#: Where the environment is in the memory of a process, among the fields that follow its name in
#: `/proc/<pid>/stat`.
_ENVIRONMENT = slice(47, 49)


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
    """The process, seen from the tests; it is started with the first order.

    Args:
        modules: What is loaded before the first order comes.
        sources: A folder whose modules are loaded in the place of those that are installed.
    """

    def __init__(self, *modules: str, sources: Path | None = None) -> None:
        self._modules = modules
        self._env = {**ENV, **({} if sources is None else {"PYTHONPATH": str(sources)})}
        self._folder = TemporaryDirectory(prefix="fork-server-")
        self._popen: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._orders = 0

    def fork(
        self,
        module: str,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        errors: Path | None = None,
        program: str = "",
    ) -> Forked:
        """Fork a process that is `python -m module words...`.

        Args:
            module: A module with a function `main`.
            words: Its arguments.
            env: Its whole environment.
            cwd: Where it runs.
            log: The file that its output is appended to.
            errors: The file for its standard error, if that is another.
            program: The script that it seems to be, if it is not to be `python -m module`.
        """
        log.touch()
        with self._lock:
            self._orders += 1
            status = Path(self._folder.name) / str(self._orders)
            paths = {"status": status, "cwd": cwd, "log": log, "errors": errors or log}
            pid = self._send(
                {name: str(path) for name, path in paths.items()}
                | {"module": module, "words": list(words), "env": dict(env), "program": program}
            )
            return Forked(pid, status)

    def close(self) -> None:
        if self._popen is not None:
            self._popen.communicate()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, order: Mapping[str, object]) -> int:
        if self._popen is None:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.fork_server", *self._modules],
                env={**os.environ, **self._env},
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
    """Load the modules named as arguments, then fork for every order."""
    # Before a fork has another environment: the titles' place is found by it.
    setproctitle("tests.servers.fork_server")
    for name in sys.argv[1:]:
        importlib.import_module(name)
    if reads_settings := sys.modules.get("failsoft.worker.configuration.engine_settings"):
        # What each fork that reads its settings would find out again, whatever they are.
        for kind in ENGINE_KINDS:
            reads_settings.variables_model(reads_settings.EngineName.parse(kind))
    # Else the collector walks through all that was loaded, which copies it, when a forked
    # interpreter ends: four fifths of the time that most commands take.
    gc.collect()
    gc.freeze()
    running: dict[int, Path] = {}
    signal.signal(signal.SIGCHLD, lambda *_: note_ended(running))
    for line in sys.stdin:
        order = json.loads(line)
        # It must not end before it is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            run_module(order)
            return
        running[pid] = Path(order["status"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def note_ended(running: dict[int, Path]) -> None:
    """Write down the exit status of each process that has ended."""
    # The signal may come again meanwhile, and find no child left.
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            file = running.pop(ended[0])
            draft = file.with_suffix(".draft")
            draft.write_text(str(os.waitstatus_to_exitcode(ended[1])))
            draft.rename(file)


def run_module(order: Mapping[str, Any]) -> None:
    """Run the module in this process, to the end of the interpreter."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    for number, path in enumerate((os.devnull, order["log"], order["errors"])):
        mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
        file = os.open(path, mode, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    show(order["env"])
    module: Any = importlib.import_module(order["module"])
    # Children of attempts look here for what their parent is, and click for what it is called.
    sys.modules["__main__"] = ModuleType("__main__") if order["program"] else module
    sys.argv = [order["program"] or module.__file__, *order["words"]]
    setproctitle(" ".join([order["program"] or f"python -m {order['module']}", *order["words"]]))
    module.main()


def show(environment: Mapping[str, str]) -> None:
    """Let the system show the environment of this process, what comes last of it at the least.

    It shows what an interpreter has got, in memory that nothing refers to when `os.environ` is
    another; and the same for what is forked from it. Tests find processes by it.
    """
    numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = (int(each) for each in numbers[_ENVIRONMENT])
    lines = [os.fsencode(f"{name}={value}") for name, value in reversed([*environment.items()])]
    text = b"\0".join(lines)
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, min(len(text), end - begin - 1))


if __name__ == "__main__":
    main()
