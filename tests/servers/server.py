"""What RabbitMQ and PostgreSQL have in common here: a process that can be broken and healed."""

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.processes import Process


class Server(ABC):
    """A server with a port of its own that it keeps; a context manager starts and stops it."""

    port: int
    log: Path
    process: Process | None = None

    @abstractmethod
    def start(self) -> None:
        """Start unless it runs, and wait until clients are served."""

    @abstractmethod
    def stop(self) -> None:
        """End in order, whatever state the server is in, and leave nothing running."""

    @property
    def is_running(self) -> bool:
        """Whether the process is there; a frozen one is."""
        return self.process is not None and self.process.is_running

    @property
    def running(self) -> Process:
        """The process, which a test expects to be there."""
        assert self.process is not None, f"expected a running {type(self).__name__}, got none"
        return self.process

    def kill(self) -> None:
        """SIGKILL the server and all that belongs to it."""
        self.running.kill()
        self.process = None

    def freeze(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, and nothing is answered."""
        self.running.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self.running.thaw()

    def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        self.stop()
        self.start()

    def heal(self) -> None:
        """Undo whatever a test has done, so that the next one finds a server at work."""
        if self.is_running:
            # To find its tree looks at every process of the machine: not after each test.
            if self.running.is_frozen:
                self.thaw()
        elif self.process is not None:
            self.kill()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
