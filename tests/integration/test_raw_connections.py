"""Compiled statements over raw connections: errors, interrupts, and what is left behind."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, OperationalError

from failsoft.job_engine.errors import LedgerError
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.compiled import AnyConnection, execute
from failsoft.ledger.database.raw_connections import MOST_IDLE, RawConnection
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts
from failsoft.ledger.transitions import statements
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.postgresql.drivers import nothing, watched
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE

COUNT = select(func.count().label("found")).select_from(attempts)
SESSION = select(func.pg_backend_pid().label("pid"))
SECRET = "sesame-2718"
ATTEMPT = {"job_id": "job", "epoch": 1, "claim_id": SECRET, "engine": "rq", "worker": "w"}


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        yield database


def test_a_channel_that_was_left_in_order_is_used_again(database: Database) -> None:
    first = database.ask(lambda raw: raw)

    assert database.ask(lambda raw: raw) is first


def test_after_an_error_the_next_one_is_another(database: Database) -> None:
    first = database.ask(lambda raw: raw)

    with pytest.raises(LedgerError, match="ZeroDivisionError"):
        database.ask(lambda raw: 1 / 0)

    assert database.ask(lambda raw: raw) is not first


def test_what_was_begun_and_raised_leaves_nothing(sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        job = fixtures.offered(SqlLedger(database, actor="tests"))

        def insert_and_raise(raw: RawConnection) -> None:
            insert(raw, {**ATTEMPT, "job_id": job.id})
            raise ZeroDivisionError

        for _ in range(2):
            with pytest.raises(LedgerError, match="ZeroDivisionError"):
                database.write_one(insert_and_raise)

        assert database.ask(count) == 0
        database.write(lambda connection: insert(connection, {**ATTEMPT, "job_id": job.id}))


def test_an_error_is_sqlalchemys_and_shows_no_value(database: Database) -> None:
    with pytest.raises(LedgerError) as raised:
        database.write_one(lambda raw: insert(raw, ATTEMPT))

    cause = raised.value.__cause__
    assert isinstance(cause, IntegrityError)
    assert "FOREIGN KEY" in str(cause).upper()
    assert SECRET not in f"{raised.value} {cause}"


def test_a_second_row_is_not_passed_over(database: Database) -> None:
    ledger = SqlLedger(database, actor="tests")
    for _ in range(2):
        fixtures.offered(ledger)

    with pytest.raises(LedgerError) as raised:
        database.ask(lambda raw: execute(raw, select(jobs.c.id), {}).one_or_none())

    assert isinstance(raised.value.__cause__, MultipleResultsFound)


def test_who_is_interrupted_in_a_statement_leaves_no_connection_behind(
    database: Database,
) -> None:
    def interrupt(cursor: object) -> None:
        raise KeyboardInterrupt

    first = database.ask(lambda raw: raw)
    with watched(database, interrupt), pytest.raises(KeyboardInterrupt):
        database.ask(count)

    assert not first.connection.is_valid
    assert database.ask(count) == 0


def test_who_keeps_an_interrupt_keeps_no_lock(sqlite_url: str) -> None:
    def interrupt(cursor: Any) -> None:
        if cursor.description:
            raise KeyboardInterrupt

    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        ledger = SqlLedger(database, actor="tests")
        with watched(database, nothing, interrupt), pytest.raises(KeyboardInterrupt) as kept:
            fixtures.offered(ledger)

        with closing(sqlite3.connect(str(database.url.database), timeout=0)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
        assert kept.value.__traceback__


def test_only_so_many_are_kept_at_hand(database: Database) -> None:
    threads = 3 * MOST_IDLE
    everybody = threading.Barrier(threads)

    def meet(raw: RawConnection) -> RawConnection:
        everybody.wait(PATIENCE)
        return raw

    with ThreadPoolExecutor(threads) as pool:
        used = [pool.submit(database.ask, meet) for _ in range(threads)]
        raw_connections = [each.result(PATIENCE) for each in used]

    at_hand = [each for each in raw_connections if each.connection.is_valid]
    assert len(set(raw_connections)) == threads
    # Threads that come at the same moment may each find the last place free.
    assert MOST_IDLE <= len(at_hand) < 2 * MOST_IDLE


def test_a_closed_database_has_no_channel_left(database: Database) -> None:
    raw = database.ask(lambda raw: raw)

    database.close()

    assert not raw.connection.is_valid


@pytest.mark.fault("F21")
def test_when_one_session_ends_no_other_is_trusted(postgres: Postgres) -> None:
    name = "channels"
    with ExitStack() as stack:
        database = stack.enter_context(closing(Database(postgres.create_database(name))))
        stack.callback(postgres.drop_database, name)
        stack.callback(database.close)
        upgrade(database)
        before = database.ask(session)
        postgres.terminate_backends(name)

        tried: list[object] = []

        def ask(raw: RawConnection) -> int:
            tried.append(raw)
            return session(raw)

        assert database.ask(ask) != before
        assert len(tried) == 2


def test_a_server_that_is_not_there_is_said_to_be_away(postgres: Postgres) -> None:
    nowhere = postgres.url("none").replace(str(postgres.port), "1")
    away = pytest.raises(LedgerError, match="expected the ledger's database to answer")
    with (
        closing(Database(nowhere, connect_timeout=timedelta(seconds=1))) as database,
        away as reported,
    ):
        database.ask(session)

    assert isinstance(reported.value.__cause__, OperationalError)


def insert(connection: AnyConnection, attempt: dict[str, object]) -> None:
    execute(connection, statements.INSERT_ATTEMPT, attempt)


def count(raw: RawConnection) -> int:
    return int(execute(raw, COUNT, {}).rows[0].found)


def session(raw: RawConnection) -> int:
    return int(execute(raw, SESSION, {}).rows[0].pid)
