"""F50: PostgreSQL has no connection left, and the ledger's processes leave it some."""

import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from threading import Barrier

import psycopg
import pytest
from sqlalchemy import text

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.pool import SPARE
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, wait_until

NAME = "crowded"
#: How many connections the role may have.
ALLOWED = 3
SHORT = timedelta(seconds=1)


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    """A ledger for a role that may have few connections."""
    url = postgres.create_database(NAME)
    with closing(Database(url)) as database:
        upgrade(database)
        for statement in (
            f"CREATE ROLE {NAME} LOGIN CONNECTION LIMIT {ALLOWED}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {NAME}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {NAME}",
        ):
            database.write(lambda connection, each=statement: connection.exec_driver_sql(each))
    yield url.replace("//postgres@", f"//{NAME}@")
    postgres.drop_database(NAME)


@pytest.fixture(autouse=True)
def no_session_of_before(url: str, postgres: Postgres) -> None:
    """Begin when the server has ended the sessions of the test before."""
    with closing(Database(postgres.url(NAME))) as effect_log:
        wait_until(lambda: open_sessions(effect_log) == 0, PATIENCE, "no session is left")


def open_sessions(database: Database) -> int:
    """Count the role's sessions, this one not included."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = :role AND pid <> pg_backend_pid()"
    )
    return int(database.read(lambda c: c.execute(statement, {"role": NAME}).scalar_one()))


@pytest.mark.fault("F50")
def test_a_dispatch_says_so_and_the_next_one_is_accepted(url: str) -> None:
    with closing(Database(url)) as database, ExitStack() as others:
        ledger = SqlLedger(database, actor="tests")
        for _ in range(ALLOWED):
            others.enter_context(psycopg.connect(url.replace("+psycopg", "")))

        with pytest.raises(LedgerUnavailableError, match="too many connections") as raised:
            ledger.record_job(fixtures.new_job(), fixtures.plan())
        others.close()

        reported = "".join(traceback.format_exception(raised.value))
        assert "IndexError" not in reported
        wait_until(lambda: dispatched(ledger), PATIENCE, "there are connections again")


@pytest.mark.fault("F50")
def test_threads_wait_for_one_another_within_the_pool(url: str) -> None:
    calls = 16
    everybody = Barrier(calls)
    with closing(Database(url, pool=1, limit=timedelta(minutes=1))) as database:
        ledger = SqlLedger(database, actor="tests")

        def work(_: int) -> bool:
            everybody.wait(PATIENCE)
            # Through channels and through transactions, which have the pool in common.
            ended = [fixtures.ended(ledger, JobState.SUCCEEDED) for _ in range(10)]
            ledger.live_workers()
            return len(ended) == 10

        with ThreadPoolExecutor(calls) as threads:
            assert all(threads.map(work, range(calls)))


@pytest.mark.fault("F50")
def test_what_waits_for_a_connection_gets_those_that_are_at_hand(
    postgres: Postgres,
) -> None:
    with closing(Database(postgres.url(NAME), pool=2)) as database, ExitStack() as stack:
        for _ in range(2 + SPARE - 1):
            stack.enter_context(database.engine.connect())
        channel = database.ask(lambda channel: channel)
        assert channel.connection.is_valid

        # All connections are in use but the one of the channel that is kept at hand.
        database.write(lambda connection: connection.exec_driver_sql("SELECT 1"))


@pytest.mark.fault("F50")
def test_a_pool_in_which_all_are_in_use_says_so_in_time(url: str) -> None:
    with closing(Database(url, pool=1, limit=SHORT)) as database, ExitStack() as stack:
        for _ in range(1 + SPARE):
            stack.enter_context(database.engine.connect())

        with pytest.raises(LedgerUnavailableError, match="FAILSOFT_LEDGER_POOL"):
            SqlLedger(database).live_workers()


@pytest.mark.fault("F50")
def test_idle_connections_are_given_back(url: str, postgres: Postgres) -> None:
    with (
        closing(Database(url, pool=3, idle=timedelta(milliseconds=300))) as database,
        closing(Database(postgres.url(NAME))) as effect_log,
        ThreadPoolExecutor(3) as threads,
    ):
        both = Barrier(2)

        def meet(channel: RawConnection) -> None:
            both.wait(PATIENCE)

        list(threads.map(lambda _: database.ask(meet), range(2)))
        wait_until(lambda: open_sessions(effect_log) == 0, PATIENCE, "no session is left")

        # And again, with a thread that had ended.
        database.ask(lambda channel: None)
        assert open_sessions(effect_log) == 1
        wait_until(lambda: open_sessions(effect_log) == 0, PATIENCE, "no session is left again")


def dispatched(ledger: SqlLedger) -> bool:
    try:
        return ledger.record_job(fixtures.new_job(), fixtures.plan())[1]
    except LedgerUnavailableError:
        # The server forgets a session a moment after its client has gone.
        return False
