"""The ledger as an engine keeps every promise, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing import EngineBench, EngineSuite, WorkerSuite
from failsoft.testing.engine_suite.bench import delivered, new_message, offer, settled
from tests.contract.engines.ledger_bench import LedgerBench, LedgerFile
from tests.servers.postgresql.postgres import Postgres


class LedgerEngineSuite(EngineSuite):
    """A job has one row there, and that has one epoch."""

    def test_every_epoch_of_a_job_is_an_offer_of_its_own(self, bench: EngineBench) -> None:
        """A later one takes the place of an earlier one, which is void by then (rule 6)."""
        first, second = new_message("job-1", 1), new_message("job-1", 2)
        offer(bench, first)
        assert delivered(bench, 1) == [first]

        offer(bench, second)

        assert settled(bench) == [first, second]


@pytest.fixture
def sqlite_bench(sqlite_url: str) -> Iterator[LedgerBench]:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        assert database.file is not None
        with closing(LedgerBench(LedgerFile(database.file.path), database)) as bench:
            yield bench


@pytest.fixture(scope="module")
def postgres_ledger(postgres: Postgres) -> Iterator[Database]:
    with closing(Database(postgres.create_database("ledger_engine"))) as database:
        upgrade(database)
        yield database
    postgres.drop_database("ledger_engine")


@pytest.fixture
def postgres_bench(postgres: Postgres, postgres_ledger: Database) -> Iterator[LedgerBench]:
    postgres_ledger.write(lambda c: c.execute(text("TRUNCATE failsoft_jobs CASCADE")))
    with closing(LedgerBench(postgres, postgres_ledger)) as bench:
        yield bench


class TestSqliteEngine(LedgerEngineSuite):
    @pytest.fixture
    def bench(self, sqlite_bench: LedgerBench) -> LedgerBench:
        return sqlite_bench


class TestSqliteWorker(WorkerSuite):
    @pytest.fixture
    def bench(self, sqlite_bench: LedgerBench) -> LedgerBench:
        # Nothing that would be written to waits there: what a worker notices is a file that is
        # gone. One that another program writes to for long keeps its heartbeat from the ledger.
        sqlite_bench.freeze_server = sqlite_bench.stop_server  # type: ignore[method-assign]
        sqlite_bench.thaw_server = sqlite_bench.start_server  # type: ignore[method-assign]
        return sqlite_bench


class TestPostgresEngine(LedgerEngineSuite):
    @pytest.fixture
    def bench(self, postgres_bench: LedgerBench) -> LedgerBench:
        return postgres_bench


class TestPostgresWorker(WorkerSuite):
    @pytest.fixture
    def bench(self, postgres_bench: LedgerBench) -> LedgerBench:
        return postgres_bench
