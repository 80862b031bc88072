"""A program on a host of its own, and three of them that stand for each other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from tests.servers.network import Host, Network
from tests.servers.processes import NO_ENV, Process

NODES = 3


class Node:
    """A program on a host, which can be killed and started again.

    Args:
        host: Where it runs.
        folder: Its data and its log; made here.
        user: The numeric user to run as, for programs that refuse to be root.
    """

    def __init__(self, host: Host, folder: Path, user: int | None = None) -> None:
        self.host = host
        self.folder = folder
        self.log = folder / "log"
        self.process: Process | None = None
        self._user = user
        folder.mkdir()
        if user is not None:
            os.chown(folder, user, user)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.is_running

    def kill(self) -> None:
        """SIGKILL the program and all that it started, as when the host loses its power."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def _run(self, *program: str | Path, env: Mapping[str, str] = NO_ENV) -> None:
        command = self.host.command(*program, user=self._user)
        self.process = Process(*command, log=self.log, cwd=self.folder, env=env)


N = TypeVar("N", bound=Node)


@contextmanager
def three(kind: type[N], name: str) -> Iterator[Sequence[N]]:
    """Lend three nodes that do not run yet, on a network of their own; end them."""
    prefix = f"failsoft-{name}-"
    with (
        TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder,
        Network() as network,
        ExitStack() as stack,
    ):
        nodes = []
        for number in range(1, NODES + 1):
            node = kind(network.add(f"{name}-{number}"), Path(folder, str(number)))
            stack.callback(node.kill)
            nodes.append(node)
        yield nodes
