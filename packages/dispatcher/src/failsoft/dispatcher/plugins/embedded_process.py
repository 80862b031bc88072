"""Servers that run inside a folder, so that trying an engine needs nothing installed."""

import secrets
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from failsoft.dispatcher.plugins.kill_on_exit import KillOnExit
from failsoft.job_engine.errors import FailsoftError

START_TIMEOUT = timedelta(seconds=10)
STOP_TIMEOUT = timedelta(seconds=5)

# Below the ports of outgoing connections on Linux and macOS: a client that retries against a dead
# port of that range can end up connected to itself, and the server could not bind it again.
PORTS = range(10_000, 32_768)


class EmbeddedServerError(FailsoftError):
    """The embedded server could not be started or used."""


def free_port() -> int:
    """Find an unused TCP port on 127.0.0.1, outside the range of outgoing connections."""
    candidates = (secrets.choice(PORTS) for _ in range(500))
    for port in candidates:
        if _is_free(port):
            return port
    raise EmbeddedServerError(f"expected a free port in {PORTS}, got none in 500 tries")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def kept_port(url: str | None) -> int:
    """Return the port of an address that is to be kept, or a free one."""
    return (urlsplit(url).port if url and "://" in url else None) or free_port()


class EmbeddedProcess:
    """A server with one port on 127.0.0.1, as one process that ends with this one.

    It serves as soon as its port takes connections.

    Args:
        command: The program and its arguments.
        folder: Where it runs and its log goes; made if it is not there.
        port: The port that the arguments name; see `kept_port`.
        url: Its address, as the engine's setting has it.
        start_within: How long it may take until it takes connections.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        port: int,
        url: str,
        *,
        start_within: timedelta = START_TIMEOUT,
    ) -> None:
        self.url: str = url
        self.log: Path = folder / f"{Path(command[0]).name}.log"
        self._command = command
        self._port = port
        self._start_within = start_within
        self._process: subprocess.Popen[bytes] | None = None
        self._switch: KillOnExit | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections.

        Raises:
            EmbeddedServerError: It did not in time; with the end of its log.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._switch = KillOnExit()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the plug-in's program
                self._command,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the workers, which still need the server
            )
        self._switch.watch(self._process.pid)
        deadline = time.monotonic() + self._start_within.total_seconds()
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise EmbeddedServerError(f"the server did not start; its log:\n{tail}")
            time.sleep(0.02)

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        return self._process.pid if self._process is not None and self.is_running else None

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would; `start` starts it again where it was."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._release()

    def stop(self) -> None:
        """End it in order; by force after a while."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT.total_seconds())
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._release()

    def _release(self) -> None:
        if self._switch is not None:
            self._switch.release()
        self._process = self._switch = None

    def _serves(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 0.5).close()
        except OSError:
            return False
        return True
