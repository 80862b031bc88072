"""F21, F22 and F23: sessions are ended, replies get lost, and transactions collide."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from tests.faults.postgresql.lost_replies import (
    MAY_SEEM_LOST,
    OPERATIONS,
    LedgerCalls,
    Moments,
    Operation,
    met,
)
from tests.faults.support import through_proxy
from tests.servers.postgresql.drivers import watched
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE
from tests.servers.proxy import Direction, TcpProxy

EACH_OPERATION = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)

TOUCH = text("UPDATE failsoft_jobs SET revision = revision WHERE id = :id")
#: What is one statement on PostgreSQL.
COMMIT_BY_THEMSELVES = frozenset(
    {"dispatch", "claim", "begin", "memo", "finish", "re-offer", "park", "recover"}
)

_numbers = count()


@pytest.fixture(scope="module")
def upgraded(postgres: Postgres) -> Iterator[str]:
    name = "lost_replies"
    url = postgres.create_database(name)
    with closing(Database(url)) as database:
        upgrade(database)
    yield name
    postgres.drop_database(name)


@pytest.mark.fault("F21")
@EACH_OPERATION
def test_a_session_that_is_ended_at_any_statement_changes_no_outcome(
    postgres: Postgres, upgraded: str, operation: Operation
) -> None:
    def end_sessions() -> None:
        postgres.terminate_backends(upgraded)

    with closing(Database(postgres.url(upgraded))) as database:
        ledger, at = SqlLedger(database), 0
        while True:
            at += 1
            moments = Moments(end_sessions, at)
            run(ledger, operation, moments, "statement", "commit")
            if moments.met < at:
                break

    assert at > 1


@pytest.mark.fault("F22")
@EACH_OPERATION
def test_a_commit_whose_reply_was_lost_is_not_made_twice(
    postgres: Postgres, upgraded: str, proxy_to_postgres: TcpProxy, operation: Operation
) -> None:
    url = through_proxy(postgres.url(upgraded), postgres.port, proxy_to_postgres)
    kind = "statement" if operation.name in COMMIT_BY_THEMSELVES else "commit"
    lost = Moments(lambda: proxy_to_postgres.cut_after(0, Direction.TO_CLIENT), at=1)

    with closing(Database(url)) as database:
        event.listen(database.engine, "invalidate", lambda *_: proxy_to_postgres.heal())
        run(SqlLedger(database), operation, lost, kind)

    assert lost.met > 1


def run(ledger: SqlLedger, operation: Operation, moments: Moments, *kinds: str) -> None:
    """Run an operation on a job of its own, and see what it left."""
    calls = LedgerCalls(ledger, f"{operation.name}-{next(_numbers)}")
    given = operation.before(calls)
    with met(ledger.database, moments, *kinds):
        came_of_it = operation.run(calls, given)
    assert came_of_it or (moments.met > 1 and operation.name in MAY_SEEM_LOST)
    assert tuple(each.kind for each in ledger.events(calls.job_id)) == operation.leaves


@pytest.mark.fault("F23")
def test_a_deadlock_is_tried_again(postgres: Postgres, upgraded: str) -> None:
    tries: list[str] = []
    both_hold_one = threading.Barrier(2)
    jobs = ("deadlock-1", "deadlock-2")

    def touch_both(connection: Connection, first: str, second: str) -> None:
        tries.append(first)
        connection.execute(TOUCH, {"id": first})
        if tries.count(first) == 1 and len(tries) < 3:
            both_hold_one.wait(PATIENCE)
        connection.execute(TOUCH, {"id": second})

    with closing(Database(postgres.url(upgraded))) as database, ThreadPoolExecutor(2) as pool:
        for job_id in jobs:
            LedgerCalls(SqlLedger(database), job_id).record()
        orders = (jobs, jobs[::-1])
        works = [
            pool.submit(database.write, partial(touch_both, first=a, second=b)) for a, b in orders
        ]
        for each in works:
            each.result(PATIENCE)

    assert len(tries) > 2


@pytest.mark.fault("F23")
def test_a_serialization_failure_is_tried_again(postgres: Postgres, upgraded: str) -> None:
    tries: list[int] = []
    with closing(Database(postgres.url(upgraded))) as database:
        calls = LedgerCalls(SqlLedger(database), "serialized")
        calls.record()

        def work(connection: Connection) -> None:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            connection.execute(text("SELECT revision FROM failsoft_jobs"))
            if not tries:
                calls.claim()
            tries.append(1)
            connection.execute(TOUCH, {"id": calls.job_id})

        database.write(work)

    assert len(tries) == 2


@pytest.mark.fault("F23")
def test_a_busy_sqlite_is_tried_again(sqlite_url: str) -> None:
    tries: list[object] = []
    with closing(Database(sqlite_url)) as database, ExitStack() as stack:
        upgrade(database)
        path = Path(str(database.url.database))
        stranger = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
        stranger.execute("BEGIN IMMEDIATE")

        def give_way(cursor: object) -> None:
            tries.append(cursor)
            if len(tries) == 3:
                stranger.execute("ROLLBACK")

        stack.enter_context(watched(database, give_way))
        assert LedgerCalls(SqlLedger(database), "busy").record()

    assert len(tries) > 3
