"""Every ledger keeps every promise: in memory, on SQLite, on PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from time import monotonic

import pytest
from sqlalchemy import Connection, select

from tests.servers.postgres import Postgres
from tests.servers.processes import PATIENCE
from understudy.job_engine.ports import Ledger
from understudy.ledger import Database, SqlLedger
from understudy.ledger.instants import now_us
from understudy.ledger.tables import info, metadata, signing_keys
from understudy.ledger.upgrading import upgrade
from understudy.testing import FrozenClock, LedgerSuite, MemoryLedger
from understudy.testing.ledger_suite import PassTime


class TestMemoryLedger(LedgerSuite):
    @pytest.fixture
    def clock(self) -> FrozenClock:
        return FrozenClock()

    @pytest.fixture
    def ledger(self, clock: FrozenClock) -> Ledger:
        return MemoryLedger(clock)

    @pytest.fixture
    def pass_time(self, clock: FrozenClock) -> PassTime:
        return clock.advance


class SqlLedgerSuite(LedgerSuite):
    """One database for all tests, emptied for each: to upgrade one takes longer than a test."""

    @pytest.fixture
    def ledger(self, database: Database) -> Ledger:
        database.write(_empty)
        return SqlLedger(database, actor="tests")

    @pytest.fixture
    def pass_time(self, database: Database) -> PassTime:
        # Time cannot be moved in a database, so the suite's winks are waited for on its clock.
        return lambda span: _wait_on_the_clock_of(database, span)


class TestSqliteLedger(SqlLedgerSuite):
    @pytest.fixture
    def database(self, sqlite_database: Database) -> Database:
        return sqlite_database


class TestPostgresLedger(SqlLedgerSuite):
    @pytest.fixture
    def database(self, postgres_database: Database) -> Database:
        return postgres_database

    @pytest.fixture
    def deadlocks(self, postgres: Postgres) -> Callable[[], int]:
        return lambda: postgres.log.read_text().count("deadlock detected")

    def test_many_in_opposite_orders_are_no_deadlock(
        self, ledger: Ledger, deadlocks: Callable[[], int]
    ) -> None:
        # A deadlock costs a second, and then one of the two is repeated: nobody else notices.
        before = deadlocks()

        self.test_many_in_opposite_orders_do_not_wait_for_each_other(ledger)

        assert deadlocks() == before


@pytest.fixture(scope="module")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from _upgraded(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")


@pytest.fixture(scope="module")
def postgres_database(postgres: Postgres) -> Iterator[Database]:
    yield from _upgraded(postgres.create_database("ledger_suite"))
    postgres.drop_database("ledger_suite")


def _upgraded(url: str) -> Iterator[Database]:
    with closing(Database(url)) as database:
        upgrade(database)
        yield database


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        if table not in (signing_keys, info):
            connection.execute(table.delete())


def _wait_on_the_clock_of(database: Database, span: timedelta) -> None:
    until = _now_of(database) + span // timedelta(microseconds=1)
    patience_ends, pause = monotonic() + PATIENCE, threading.Event()
    while _now_of(database) <= until:
        assert monotonic() < patience_ends, f"expected {span} to pass within {PATIENCE} s"
        pause.wait(0.001)


def _now_of(database: Database) -> int:
    return int(database.read(lambda connection: connection.execute(select(now_us())).scalar_one()))
