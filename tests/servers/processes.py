"""Processes that tests start, break and clean up after."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

import psutil

from failsoft.engine_api import KillOnExit, free_port
from tests.servers.fork_server import Forked, ForkServer

__all__ = [
    "PATIENCE",
    "Process",
    "Processes",
    "end",
    "free_port",
    "is_alive",
    "is_listening",
    "offspring",
    "wait_until",
    "words_of",
]

T = TypeVar("T")

#: How long anything may take on a machine that is busy with other things, in seconds. Only what
#: never happens costs it.
PATIENCE = 90

#: Between two looks at a condition, in seconds.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.1

MARK = "_FAILSOFT_TEST_PROCESS"
LONGEST_ENVIRONMENT = 1_000_000
NO_ENV: Mapping[str, str] = MappingProxyType({})


def wait_until(condition: Callable[[], T], deadline: float, what: str) -> T:
    """Poll until the condition holds and return what it gave; fail after `deadline` seconds.

    Most conditions are queries: looked at a hundred times a second, those of a few tests would take
    the processors that the awaited processes need. So a wait ends up to a twentieth late.
    """
    began = monotonic()
    while not (result := condition()):
        waited = monotonic() - began
        if waited > deadline:
            raise AssertionError(f"expected within {deadline} s: {what}")
        sleep(min(max(SHORTEST_PAUSE, waited / 20), LONGEST_PAUSE))
    return result


def is_listening(port: int) -> bool:
    """Tell whether a port of this machine takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


class Process:
    """A running program, its output in a file; it dies with the test run, however that ends.

    Args:
        command: The program and its arguments.
        log: The file its output is appended to.
        env: Added to the environment of the tests.
        cwd: Where it runs; the log's folder by default.
        user: The numeric user to run as, for programs that refuse to be root.
    """

    def __init__(
        self,
        *command: str | Path,
        log: Path,
        env: Mapping[str, str] = NO_ENV,
        cwd: Path | None = None,
        user: int | None = None,
    ) -> None:
        self.log = log
        self.name = " ".join(map(str, command))
        #: Whether `freeze` was called, and `thaw` not since.
        self.is_frozen = False
        self.mark = uuid.uuid4().hex
        self._switch = KillOnExit()
        self._popen = self._begin(command, {**os.environ, **env, MARK: self.mark}, cwd, user)
        self._switch.watch(self._popen.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def tail(self) -> str:
        return "\n".join(self.output.splitlines()[-40:])

    def tree(self) -> list[psutil.Process]:
        """The process first, then all that came from it, those it left orphaned included."""
        return offspring(MARK, dict([self.family]))

    @property
    def family(self) -> tuple[str, int]:
        """The mark of all that comes from it, and its id; 0 once it may be another's."""
        return self.mark, self.pid if self.is_running else 0

    def signal(self, number: int) -> None:
        """Signal the process alone, not what it started."""
        self._popen.send_signal(number)

    def kill(self, *, tree: bool = True) -> None:
        """SIGKILL the whole tree, as when the host is lost, or the process alone."""
        if tree:
            kill_trees([self])
            return
        self._popen.kill()
        self._popen.wait()
        self._switch.release()

    def freeze(self, *, tree: bool = True) -> None:
        """SIGSTOP the whole tree or the process alone, and wait until it has stopped."""
        self.is_frozen = True
        self.signal(signal.SIGSTOP)
        frozen = [each for each in self.tree() if tree or each.pid == self.pid]
        _send(signal.SIGSTOP, frozen)
        wait_until(lambda: all(map(_is_stopped, frozen)), PATIENCE, f"{self.name} has stopped")

    def thaw(self) -> None:
        """SIGCONT the whole tree."""
        _send(signal.SIGCONT, self.tree())
        self.is_frozen = False

    def terminate(self, deadline: float = PATIENCE) -> int:
        """SIGTERM the process and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def wait(self, deadline: float = PATIENCE) -> int:
        """Return the exit code, or fail with the end of the log."""
        try:
            return self._popen.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"expected {self.name} to end within {deadline} s; its log ends:\n{self.tail}"
            ) from None

    def wait_for_output(self, text: str, deadline: float = PATIENCE) -> None:
        """Wait until the log holds the text, or fail with its end."""
        try:
            wait_until(lambda: text in self.output or not self.is_running, deadline, text)
            assert text in self.output
        except AssertionError:
            message = f"expected {text!r} from {self.name}; its log ends:\n{self.tail}"
            raise AssertionError(message) from None

    def _begin(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        cwd: Path | None,
        user: int | None,
    ) -> subprocess.Popen[bytes] | Forked:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=cwd or self.log.parent,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


def kill_trees(roots: Sequence[Process]) -> None:
    """SIGKILL processes with all that came from them.

    Each look for those goes through every process of the machine: one is for all.
    """
    # Halted first, they cannot start others while the others are looked up.
    for each in roots:
        each.signal(signal.SIGSTOP)
    families = dict(each.family for each in roots)
    while doomed := offspring(MARK, families):
        end(doomed)
    for each in roots:
        each.kill(tree=False)


class ForkedProcess(Process):
    """A process as if by `python -m`, from a fork server that has the module loaded.

    Args:
        fork_server: Forks it.
        words: The module and its arguments.
        log: The file its output is appended to.
        env: Added to the environment of the tests.
        program: The script that it seems to be, if it is not to be `python -m module`.
    """

    def __init__(
        self,
        fork_server: ForkServer,
        *words: str,
        log: Path,
        env: Mapping[str, str] = NO_ENV,
        program: str = "",
    ) -> None:
        self._fork_server = fork_server
        self._program = program
        super().__init__(*words, log=log, env=env)

    def _begin(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        cwd: Path | None,
        user: int | None,
    ) -> Forked:
        module, *words = map(str, command)
        return self._fork_server.fork(
            *(module, words), env=env, cwd=self.log.parent, log=self.log, program=self._program
        )


class Processes:
    """Starts programs whose logs go into one folder, and ends them all, orphans included."""

    def __init__(self, folder: Path, fork_server: ForkServer | None = None) -> None:
        self.folder = folder
        self.started: list[Process] = []
        self._fork_server = fork_server

    def start(self, *command: str | Path, env: Mapping[str, str] = NO_ENV) -> Process:
        self.started.append(Process(*command, log=self._next_log(), env=env))
        return self.started[-1]

    def fork(self, *words: str, env: Mapping[str, str] = NO_ENV) -> Process:
        """Start a module with its arguments, quickly; without a fork server like any program."""
        if self._fork_server is None:
            return self.python("-m", *words, env=env)
        self.started.append(ForkedProcess(self._fork_server, *words, log=self._next_log(), env=env))
        return self.started[-1]

    def fork_command(
        self, server: ForkServer, *words: str, env: Mapping[str, str] = NO_ENV
    ) -> Process:
        """Start a command of `failsoft`, from a server that has it loaded."""
        words = ("failsoft.worker.cli", *words)
        log = self._next_log()
        self.started.append(ForkedProcess(server, *words, log=log, env=env, program="failsoft"))
        return self.started[-1]

    def python(self, *arguments: str, env: Mapping[str, str] = NO_ENV) -> Process:
        """Start this Python with arguments such as `-m failsoft.worker`."""
        return self.start(sys.executable, *arguments, env={"PYTHONUNBUFFERED": "1", **env})

    def end(self) -> None:
        if self.started:
            kill_trees(self.started)

    def _next_log(self) -> Path:
        return self.folder / f"process-{len(self.started)}.log"


def offspring(name: str, families: Mapping[str, int]) -> list[psutil.Process]:
    """Find live processes and all they started: their descendants, and who has their mark.

    Args:
        name: The variable of the environment that holds marks.
        families: The id of the first process of each mark; these come first.
    """
    roots = families.values()
    return _alive({*_marked(name, families), *chain(*map(_descendants, roots))}, first=roots)


def end(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL processes and wait until they are gone."""
    doomed = list(processes)
    _send(signal.SIGKILL, doomed)
    wait_until(lambda: not _alive(doomed), PATIENCE, f"the end of {doomed}")


def words_of(process: psutil.Process) -> list[str]:
    """Return the words of a process's command, or of the title that it has in its place."""
    return " ".join(process.cmdline()).split()


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process is there and no zombie."""
    return _status(process) not in ("", psutil.STATUS_ZOMBIE)


def pid_is_alive(pid: int) -> bool:
    """Return whether a process of this id is there and no zombie."""
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def _marked(name: str, values: Iterable[str]) -> Iterator[psutil.Process]:
    marks = [f"{name}={value}".encode() for value in values]
    for pid in psutil.pids():
        environment = _environment(pid)
        if any(mark in environment for mark in marks):
            with suppress(psutil.NoSuchProcess):
                yield psutil.Process(pid)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(number: int, processes: Iterable[psutil.Process]) -> None:
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(number)


def _alive(
    processes: Iterable[psutil.Process], first: Collection[int] = ()
) -> list[psutil.Process]:
    return sorted(filter(is_alive, processes), key=lambda each: (each.pid not in first, each.pid))


def _is_stopped(process: psutil.Process) -> bool:
    return _status(process) in ("", psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return ""


def _environment(pid: int) -> bytes:
    try:
        if psutil.LINUX:
            return _read(f"/proc/{pid}/environ")
        entries = psutil.Process(pid).environ().items()
        return b"\0".join(f"{name}={value}".encode() for name, value in entries)
    except (psutil.Error, OSError):  # gone, or another user's
        return b""


def _read(path: str) -> bytes:
    # For each process that a test ends, those of the whole machine are read: this takes an eighth
    # of the time that psutil takes, which makes mappings of them.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, LONGEST_ENVIRONMENT)
    finally:
        os.close(descriptor)
