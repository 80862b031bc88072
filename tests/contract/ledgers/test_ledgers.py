"""Every ledger keeps every promise: in memory, on SQLite, on PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Connection, select, text

from failsoft.job_engine.errors import UniqueKeyHeldError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.tables import info, metadata, signing_keys
from failsoft.ledger.transitions.insert import record
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from failsoft.testing import FrozenClock, LedgerSuite, MemoryLedger
from failsoft.testing.ledger_suite import PassTime
from failsoft.testing.ledger_suite.control.retried_keys import (
    ONE,
    dead,
    dispatched,
    race_for_a_key,
    retried,
)
from failsoft.testing.ledger_suite.fixtures import new_job, plan
from tests.integration.upgrades.next_release import ADDITIVE
from tests.servers.postgresql.database_clock import DatabaseClock
from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, wait_until

Bench = tuple[Database, DatabaseClock]


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
    def ledger(self, database: Database, clock: DatabaseClock) -> Iterator[Ledger]:
        clock.reset()
        database.write(_empty)
        yield SqlLedger(database, actor="tests")

        assert [found for checked in verify(database) for found in checked.violations] == []

    @pytest.fixture
    def pass_time(self, clock: DatabaseClock) -> PassTime:
        return clock.advance

    def test_a_dispatch_and_another_programs_retry_leave_one_holder(
        self, ledger: Ledger, database: Database
    ) -> None:
        url = database.url.render_as_string(hide_password=False)
        with closing(Database(url)) as of_another_program:
            race_for_a_key(ledger, SqlLedger(of_another_program, actor="another"))


class TestSqliteLedger(SqlLedgerSuite):
    @pytest.fixture
    def database(self, sqlite_database: Bench) -> Database:
        return sqlite_database[0]

    @pytest.fixture
    def clock(self, sqlite_database: Bench) -> DatabaseClock:
        return sqlite_database[1]


class TestPostgresLedger(SqlLedgerSuite):
    @pytest.fixture
    def database(self, postgres_database: Bench) -> Database:
        return postgres_database[0]

    @pytest.fixture
    def clock(self, postgres_database: Bench) -> DatabaseClock:
        return postgres_database[1]

    @pytest.fixture
    def deadlocks(self, postgres: Postgres) -> Callable[[], int]:
        return lambda: postgres.log.read_text().count("deadlock detected")

    def test_many_in_opposite_orders_are_no_deadlock(
        self, ledger: Ledger, deadlocks: Callable[[], int]
    ) -> None:
        # A deadlock costs a second, and then one of the two is repeated: no other notices.
        before = deadlocks()

        self.test_many_in_opposite_orders_do_not_wait_for_each_other(ledger)
        self.test_many_with_two_keys_crosswise_do_not_wait_for_each_other(ledger)

        assert deadlocks() == before

    def test_dispatches_and_retries_of_a_key_are_no_deadlock(
        self, ledger: Ledger, deadlocks: Callable[[], int]
    ) -> None:
        before = deadlocks()

        self.test_a_dispatch_and_a_retry_leave_one_holder(ledger)
        self.test_a_crowd_does_one_work_again_and_one_holds_the_key(ledger)

        assert deadlocks() == before

    @pytest.mark.parametrize("commits", [True, False])
    def test_a_retry_waits_for_what_may_yet_hold_its_key(
        self, ledger: Ledger, database: Database, *, commits: bool
    ) -> None:
        ended, rival = dead(ledger), new_job(unique=ONE)

        with database.engine.connect() as other, ThreadPoolExecutor(1) as threads:
            transaction = other.begin()
            assert record(other, rival, plan(), "somebody")[1]
            retry = threads.submit(retried, ledger, ManualRetry(ended, "ada"))
            wait_until(lambda: _waits(database), PATIENCE, "the retry waits for the dispatch")
            (transaction.commit if commits else transaction.rollback)()
            answer = retry.result(PATIENCE)

        assert isinstance(answer, UniqueKeyHeldError) is commits
        holder = rival.id if commits else ledger.again(ended)[0].id
        assert dispatched(ledger)[0].id == holder


class TestPooledPostgresLedger(TestPostgresLedger):
    """Behind PgBouncer in transaction mode; all of it with `-m long`, a tenth in each run."""

    @pytest.fixture
    def database(self, pooled_database: Bench) -> Database:
        return pooled_database[0]

    @pytest.fixture
    def clock(self, pooled_database: Bench) -> DatabaseClock:
        return pooled_database[1]


@pytest.mark.long
class TestSqliteLedgerOfTheNextRelease(TestSqliteLedger):
    """Code of this release on a ledger that has more (F47)."""

    @pytest.fixture(autouse=True)
    def upgraded(self, sqlite_database: Bench) -> None:
        upgrade(sqlite_database[0], migrations=ADDITIVE)


@pytest.mark.long
class TestPostgresLedgerOfTheNextRelease(TestPostgresLedger):
    """Code of this release on a ledger that has more (F47)."""

    @pytest.fixture(autouse=True)
    def upgraded(self, postgres_database: Bench) -> None:
        upgrade(postgres_database[0], migrations=ADDITIVE)


@pytest.fixture(scope="module")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from _upgraded(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")


@pytest.fixture(scope="module")
def postgres_database(postgres: Postgres) -> Iterator[Bench]:
    yield from _upgraded(postgres.create_database("ledger_suite"))
    postgres.drop_database("ledger_suite")


@pytest.fixture(scope="module")
def pooled_database(postgres: Postgres, pgbouncer: PgBouncer) -> Iterator[Bench]:
    url = postgres.create_database("pooled_suite")
    for direct, clock in _upgraded(url):
        by_pooler = f"{pgbouncer.by_pooler(url)}?pooler=transaction"
        with closing(Database(by_pooler)) as database:
            assert direct.url.port != database.url.port
            yield database, clock
    postgres.drop_database("pooled_suite")


def _upgraded(url: str) -> Iterator[Bench]:
    with closing(Database(url)) as database:
        upgrade(database)
        yield database, DatabaseClock(database)


def _waits(database: Database) -> bool:
    statement = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(database.read(lambda connection: connection.execute(statement).scalar_one()))


#: What a test may have left something in, children before their parents.
_TABLES = [each for each in reversed(metadata.sorted_tables) if each not in (signing_keys, info)]
#: Most tests leave something in few of them: asking costs less than a deletion in each.
_FILLED = select(*(select(each).exists().label(each.name) for each in _TABLES))


def _empty(connection: Connection) -> None:
    filled = connection.execute(_FILLED).mappings().one()
    for table in _TABLES:
        if filled[table.name]:
            connection.execute(table.delete())
