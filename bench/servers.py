"""The servers of a run: one Valkey, one RabbitMQ, one PostgreSQL, each started when first needed.

All systems share them, one after the other. They run as they are installed: Valkey keeps nothing on
disk, RabbitMQ's queues are durable, PostgreSQL commits with fsync and synchronous_commit on.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from pathlib import Path

import psutil

from failsoft.queue.embedded_valkey import EmbeddedValkey
from tests.servers.postgresql.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ


class Servers:
    """Starts what is requested of it; all of it ends with the stack.

    Args:
        folder: Where data and logs go.
        stack: What ends them.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._numbers = count()

    @cached_property
    def valkey(self) -> EmbeddedValkey:
        """A Valkey that keeps nothing on disk."""
        return self._stack.enter_context(EmbeddedValkey(self._made("valkey")))

    @cached_property
    def rabbitmq(self) -> RabbitMQ:
        """A node of RabbitMQ."""
        server = RabbitMQ(self._made("rabbitmq"))
        server.start()
        self._stack.callback(server.stop)
        return server

    @cached_property
    def postgresql(self) -> Postgres:
        """A PostgreSQL that waits for the disk at each commit."""
        return started_postgresql(self._stack)

    def database(self, kind: str) -> str:
        """Return the URL of a fresh database, on `sqlite` or `postgresql`."""
        number = next(self._numbers)
        if kind == "sqlite":
            return f"sqlite:///{self._made(f'sqlite-{number}')}/database.db"
        return self.postgresql.create_database(f"bench_{number}")

    def started(self) -> Sequence[psutil.Process]:
        """Return the process of each server that runs."""
        names = [each for each in ("valkey", "rabbitmq", "postgresql") if each in vars(self)]
        return [psutil.Process(_pid(vars(self)[name])) for name in names]

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(parents=True)
        return folder


def started_postgresql(stack: ExitStack) -> Postgres:
    """Return a PostgreSQL that runs until the stack ends."""
    # A folder of its own: under root it runs as another user, who cannot enter one of the run's.
    apart = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    server = Postgres(Path(stack.enter_context(apart)))
    server.start()
    stack.callback(server.stop)
    return server


def database_url(kind: str, folder: Path, stack: ExitStack) -> str:
    """Return the URL of a fresh database, for a program that needs one.

    Args:
        kind: `sqlite` or `postgresql`, which is started.
        folder: Where the file of a SQLite database is.
        stack: What ends PostgreSQL.
    """
    if kind == "sqlite":
        return f"sqlite:///{folder}/ledger.db"
    return started_postgresql(stack).create_database("bench")


def _pid(server: EmbeddedValkey | RabbitMQ | Postgres) -> int:
    found = server._process if isinstance(server, EmbeddedValkey) else server.process  # noqa: SLF001 - it shows no other
    if found is None:
        raise AssertionError("expected a server that runs")
    return found.pid
