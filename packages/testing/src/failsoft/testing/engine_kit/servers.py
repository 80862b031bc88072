"""Servers that a bench starts on private ports, breaks and ends."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from failsoft.engine_api import KillOnExit, free_port
from failsoft.testing.engine_suite.bench import eventually

#: Stands for the server's port in its command.
PORT = "{port}"

_NO_ENV: Mapping[str, str] = MappingProxyType({})


class Server(Protocol):
    """What a bench does to its server; each can be undone."""

    def start(self) -> None:
        """Start it unless it runs, in the same place; return when it serves."""
        ...

    def stop(self) -> None:
        """End it: connections are refused from now on."""
        ...

    def freeze(self) -> None:
        """Halt it: connections are accepted, and nothing is answered."""
        ...

    def thaw(self) -> None:
        """Let a frozen server go on; nothing where it is not frozen."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped; a frozen one runs."""
        ...


class ServerProcess:
    """A server that is one program, with a port of its own that it keeps over restarts.

    `stop` kills it and all that it started by SIGKILL, `freeze` halts them by SIGSTOP. It ends with
    this Python process, however that ends. As a context manager it starts and stops.

    Args:
        folder: Where it runs and its log goes; made if it is not there.
        command: The program and its arguments; `PORT` in one of them stands for the port.
        serves: Whether it serves; as soon as its port takes connections where absent.
        env: Added to the environment of this process.
        port: The port; a free one where absent.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str | Path],
        *,
        serves: Callable[[], bool] | None = None,
        env: Mapping[str, str] = _NO_ENV,
        port: int | None = None,
    ) -> None:
        self.folder: Path = folder
        self.port: int = port or free_port()
        self.log: Path = folder / f"{Path(command[0]).name}.log"
        self._command = [str(word).replace(PORT, str(self.port)) for word in command]
        self._serves = serves or (lambda: is_listening(self.port))
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._switch: KillOnExit | None = None

    @property
    def address(self) -> str:
        """Return where it listens, as in `127.0.0.1:4222`."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the process is there; a frozen one is."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it unless it runs, and wait until it serves.

        Raises:
            AssertionError: It did not; with the end of its log.
        """
        if self.is_running:
            return
        self._release()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._switch = KillOnExit()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the bench's program
                self._command,
                cwd=self.folder,
                env={**os.environ, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, which signals reach as a whole
            )
        self._switch.watch(self._process.pid)
        try:
            eventually(self._has_settled, "the server serves")
        except AssertionError as error:
            self.stop()
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])
            raise AssertionError(f"{error}; its log ends:\n{tail}") from None

    def stop(self) -> None:
        """Kill it by SIGKILL, with all that it started."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._release()

    def restart(self) -> None:
        """Stop it and start it again, on the same port and in the same folder."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Halt it by SIGSTOP; return when it has stopped."""
        assert self._process is not None, "expected a server that runs, got none"  # noqa: S101
        self._signal(signal.SIGSTOP)
        # The signal may not have arrived yet.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on by SIGCONT."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _has_settled(self) -> bool:
        if not self.is_running:
            raise AssertionError("expected a server that serves, got one that has ended")
        return self._serves()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _release(self) -> None:
        if self._switch is not None:
            self._switch.release()
        self._process = self._switch = None


def is_listening(port: int) -> bool:
    """Return whether a port of this machine takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True
