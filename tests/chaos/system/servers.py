"""The servers of a chaos run: those of its engines and a ledger, all its own.

A PostgreSQL has a replica that has every commit, and some reach it by a pooler.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

from failsoft.ledger.database.database import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.chaos.system import ledger_clock
from tests.chaos.system.brokers import BROKERS, Broker
from tests.chaos.system.ledger_clock import MovedClock
from tests.chaos.system.skew import Skew, build_library
from tests.chaos.workload import app_transactions, business_table
from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres_pair import PostgresPair

DATABASE = "chaos"
LedgerKind = Literal["postgresql", "sqlite"]
LEDGER_KINDS: tuple[LedgerKind, ...] = ("postgresql", "sqlite")


class Servers:
    """Starts and ends the servers.

    Attributes:
        brokers: The servers of the engines that have one, by engine.
        postgres: The ledger's servers; None where the ledger is a file.
        pgbouncer: The pooler before the one that takes writes.
        database: The ledger, reached without any proxy.
        skewer: The library that sets clocks wrong; None where it cannot be built.
        clock: The ledger's clock; None where that is the host's and cannot be set wrong.
    """

    def __init__(self, folder: Path, kind: LedgerKind, engines: Sequence[str]) -> None:
        self.folder = folder
        self.brokers: Mapping[str, Broker] = {
            engine: BROKERS[engine](folder) for engine in engines if engine in BROKERS
        }
        # It does not survive a loss of power, which no nemesis here brings about.
        self.postgres = (
            PostgresPair(folder / "postgres", fast=True) if kind == "postgresql" else None
        )
        self.pgbouncer: PgBouncer | None = None
        self.skewer = build_library(folder)
        self.clock: MovedClock | None = None
        self._host = Skew(folder / "skew-host", self.skewer)
        self._stack = ExitStack()

    def start(self) -> Self:
        for broker in self.brokers.values():
            self._folder(broker.name)
            self._stack.callback(broker.server.stop)
            broker.server.start()
        if self.postgres is not None:
            self._folder(self.postgres.folder.name)
            self._stack.callback(self.postgres.stop)
            self.postgres.start()
            self.pgbouncer = PgBouncer(self._folder("pgbouncer"), self.postgres.port)
            self._stack.enter_context(self.pgbouncer)
        self.ledger_url = self._make_ledger()
        self.database = Database(self.ledger_url)
        self.clock = self._make_clock()
        upgrade(self.database)
        business_table.make_table(self.database)
        app_transactions.make_table(self.database)
        self._stack.callback(self.database.close)
        return self

    def heal(self) -> None:
        """Bring every server back to health, whatever was done to it."""
        for broker in self.brokers.values():
            broker.heal()
        if self.postgres is not None and self.pgbouncer is not None:
            self.postgres.heal()
            self.postgres.synchronous(on=True)
            self.pgbouncer.heal()
            self.pgbouncer.point_at(self.postgres.port)
        if self.clock is not None:
            self.clock.heal()

    def skew_of(self, actor: str) -> Skew:
        """Return the wall clock of a process: where the ledger is a file, that of the host."""
        host = self.postgres is None
        return self._host if host else Skew(self.folder / f"skew-{actor}", self.skewer)

    def stop(self) -> None:
        self._stack.close()

    def _make_clock(self) -> MovedClock | None:
        if self.postgres is not None:
            return ledger_clock.of_database(self.database)
        return None if self.skewer is None else ledger_clock.of_host(self._host)

    def _make_ledger(self) -> str:
        if self.postgres is None:
            return f"sqlite:///{self.folder / 'ledger.db'}"
        self.postgres.synchronous(on=True)
        self.postgres.primary.create_database(DATABASE)
        return self.postgres.url(DATABASE)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
