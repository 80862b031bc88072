"""The template of a supervisor's processes, as the supervisor sees it.

A process that has loaded what every worker loads, and nothing of the application's: its forks begin
in a tenth of the time that an interpreter of their own takes, and share its memory. See
docs/decisions/0108.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from select import select
from typing import Self

from failsoft.worker.exit_codes import FAILURE
from failsoft.worker.processes.parent_death import adopting

logger: logging.Logger = logging.getLogger("failsoft.supervisor")

#: Asks for a fork; the descriptor of a socket comes along, and those that the fork is handed.
ORDER = b"f"
#: How long it may take to load what workers load, in seconds.
LOADING_SECONDS = 60.0
#: How long a fork may take to begin, in seconds.
PATIENCE_SECONDS = 5.0
#: The most bytes of a process id.
_ID_BYTES = 32
#: How often it is looked whether a process has ended, in seconds.
_LOOK_SECONDS = 0.01


class AdoptedProcess:
    """A fork of the template, whose parent is this process; used as a `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._lock = threading.Lock()
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, negative if a signal ended it; None while it runs."""
        with self._lock:
            if self._status is None:
                try:
                    ended, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:
                    # Something else in this process has waited for it.
                    self._status = FAILURE
                else:
                    self._status = os.waitstatus_to_exitcode(status) if ended else None
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status when it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not after so many seconds.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if ends is not None and time.monotonic() > ends:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_LOOK_SECONDS)
        return status

    def send_signal(self, signum: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def kill(self) -> None:
        """Send it SIGKILL, if it runs."""
        self.send_signal(signal.SIGKILL)


class WorkerTemplate:
    """Starts processes as forks of the template, for as long as there is one.

    `fork_template` makes it.

    Args:
        orders: The socket on which it is ordered.
        pid: Its process id.
    """

    def __init__(self, orders: socket.socket, pid: int) -> None:
        self._orders: socket.socket | None = orders
        self._pid = pid
        self._is_loaded = False
        self._must_load_by = time.monotonic() + LOADING_SECONDS

    @classmethod
    def attached(cls, descriptor: int, pid: int) -> Self:
        """Return the template that the program had which was this process's before."""
        return cls(socket.socket(fileno=descriptor), pid)

    def handed_over(self) -> tuple[int, int] | None:
        """Return what `attached` needs in the program that this process executes next."""
        if self._orders is None:
            return None
        self._orders.set_inheritable(True)
        return self._orders.fileno(), self._pid

    @property
    def is_loading(self) -> bool:
        """Whether it is worth waiting for it."""
        if self._orders is None or self._is_loaded:
            return False
        if not select([self._orders], [], [], 0)[0]:
            if time.monotonic() > self._must_load_by:
                self._give_up(f"has not loaded in {LOADING_SECONDS:g} s")
            return self._orders is not None
        with suppress(ConnectionError):
            self._is_loaded = bool(self._orders.recv(1))
        if not self._is_loaded:
            self._give_up("has ended")
        return False

    def start(
        self,
        program: str,
        words: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        handed: Mapping[str, int] | None = None,
    ) -> AdoptedProcess | None:
        """Start a process that is `python -m program words...`, in a session of its own.

        Args:
            program: The name of a module or a package.
            words: Its arguments.
            environment: Its whole environment; this process's where None.
            handed: Options whose values are descriptors that the process gets.

        Returns:
            None if there is no template any more.
        """
        if self.is_loading or self._orders is None:
            return None
        handed = handed or {}
        order = {
            "program": program,
            "words": list(words),
            "environment": dict(os.environ if environment is None else environment),
            "options": list(handed),
        }
        ours, theirs = socket.socketpair()
        with ours, adopting():
            ours.settimeout(PATIENCE_SECONDS)
            try:
                with theirs:
                    descriptors = [theirs.fileno(), *handed.values()]
                    socket.send_fds(self._orders, [ORDER], descriptors)
                process = AdoptedProcess(int(ours.recv(_ID_BYTES)))
            except (OSError, ValueError):
                self._give_up("forks no process")
                return None
            # A process that has ended meanwhile has its status.
            with suppress(OSError):
                ours.sendall(json.dumps(order).encode())
        return process

    def close(self) -> None:
        """Let it end; its forks go on."""
        if self._orders is not None:
            self._orders.close()
            self._orders = None
            # It has nothing to put away, and may not look at its orders.
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)

    def _give_up(self, why: str) -> None:
        logger.warning(
            "the template of the workers (pid %s) %s; each worker loads its modules itself",
            self._pid,
            why,
        )
        self.close()


def start(
    template: WorkerTemplate | None,
    command: Sequence[str],
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    handed: Mapping[str, int] | None = None,
) -> "subprocess.Popen[bytes] | AdoptedProcess":
    """Start a process in a session of its own, where a Ctrl-C at the terminal does not reach it.

    Args:
        template: What it is forked from; it is executed where there is none.
        command: Executes its program, as `python -m program`.
        words: Its arguments.
        environment: Its whole environment; this process's where None.
        handed: Options whose values are descriptors that the process gets.

    Raises:
        OSError: There is no process.
    """
    handed = handed or {}
    process = template and template.start(
        command[-1], words, environment=environment, handed=handed
    )
    if process:
        return process
    options = [word for name, number in handed.items() for word in (name, str(number))]
    return subprocess.Popen(  # noqa: S603 - our own module
        [*command, *words, *options],
        env=None if environment is None else dict(environment),
        start_new_session=True,
        pass_fds=tuple(handed.values()),
    )
