"""The servers of a chaos run: Valkey, RabbitMQ and a ledger, all its own."""

from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

from tests.chaos.effects import make_table
from tests.chaos.skew import build_library
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey
from understudy.ledger.database import Database
from understudy.ledger.upgrading import upgrade

LedgerKind = Literal["postgresql", "sqlite"]
LEDGER_KINDS: tuple[LedgerKind, ...] = ("postgresql", "sqlite")


class Surroundings:
    """Starts and ends the servers.

    Attributes:
        postgres: The ledger's server; None where the ledger is a file.
        database: The ledger, reached without any proxy.
        skewer: The library that sets clocks wrong; None where it cannot be built.
    """

    def __init__(self, folder: Path, kind: LedgerKind) -> None:
        self.folder = folder
        self.valkey = Valkey(folder / "valkey")
        self.rabbitmq = RabbitMQ(folder / "rabbitmq")
        # It does not survive a loss of power, which no nemesis here brings about.
        self.postgres = Postgres(folder / "postgres", fast=True) if kind == "postgresql" else None
        self.skewer = build_library(folder)
        self._stack = ExitStack()

    def start(self) -> Self:
        for server in (self.valkey, self.rabbitmq, self.postgres):
            if server is not None:
                server.folder.mkdir(parents=True, exist_ok=True)
                self._stack.callback(server.stop)
                server.start()
        self.ledger_url = self._make_ledger()
        self.database = Database(self.ledger_url)
        upgrade(self.database)
        make_table(self.database)
        self._stack.callback(self.database.close)
        return self

    def heal(self) -> None:
        """Bring every server back to health, whatever was done to it."""
        self._heal_valkey()
        self.rabbitmq.heal()
        if self.postgres is not None:
            self.postgres.heal()

    def stop(self) -> None:
        self._stack.close()

    def _heal_valkey(self) -> None:
        if self.valkey.is_running:
            self.valkey.thaw()
        self.valkey.start()
        self.valkey.replica_of_nobody()
        self.valkey.out_of_memory(on=False)

    def _make_ledger(self) -> str:
        if self.postgres is None:
            return f"sqlite:///{self.folder / 'ledger.db'}"
        return self.postgres.create_database("chaos")
