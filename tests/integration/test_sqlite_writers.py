"""Writers of a SQLite ledger wait for each other from their first statement on (DB-01, R29)."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from failsoft.ledger.database.database import Database
from failsoft.ledger.database.raw_connections import RawConnections
from failsoft.ledger.database.sqlite import engine
from failsoft.ledger.database.sqlite.write_queue import PendingWrite
from tests.servers.processes import PATIENCE

COUNT = text("SELECT total FROM tally")
SET = text("UPDATE tally SET total = :total")
#: How long the second writer is given to do what it must not do.
A_WHILE = 0.3


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        database.make_file()
        database.write(lambda c: c.execute(text("CREATE TABLE tally (total INTEGER)")))
        database.write(lambda c: c.execute(text("INSERT INTO tally VALUES (0)")))
        yield database


def test_a_transaction_that_reads_first_keeps_other_writers_out(database: Database) -> None:
    assert interleave(database) == [2, 1]


def test_deferred_transactions_would_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BEGIN", "BEGIN DEFERRED")

    with pytest.raises(OperationalError, match="database is locked"):
        interleave(database)


def test_connections_that_open_a_new_file_together_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite itself gives one of thirty up (DB-09)."""
    together = threading.Barrier(8)

    def meet(database: Database) -> str:
        together.wait(PATIENCE)
        with database.engine.connect() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())

    with ThreadPoolExecutor(8) as pool:
        for number in range(100):
            with closing(Database(f"sqlite:///{tmp_path / f'{number}.db'}")) as database:
                database.make_file()
                assert list(pool.map(meet, [database] * 8)) == ["wal"] * 8


def test_writers_of_one_process_queue_for_their_turn(database: Database) -> None:
    begun: list[Connection] = []
    event.listen(database.engine, "begin", begun.append, insert=True)
    writes, goes_on = threading.Event(), threading.Event()

    def add_when_told(connection: Connection) -> None:
        writes.set()
        assert goes_on.wait(PATIENCE)
        add(connection)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(database.write, add_when_told)
        assert writes.wait(PATIENCE)
        second = pool.submit(database.write, add)
        with pytest.raises(TimeoutError):
            second.result(A_WHILE)
        begun_meanwhile = len(begun)
        goes_on.set()
        for each in (first, second):
            each.result(PATIENCE)

    assert (begun_meanwhile, len(begun)) == (1, 2)
    assert database.read(lambda c: c.execute(COUNT).scalar_one()) == 2


def test_a_forked_child_waits_for_no_turn_of_its_parent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = engine.Writer(database.engine, RawConnections(database.engine))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(writer._write_queue.acquire, PendingWrite(lambda _: None)).result(PATIENCE)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)

    began = time.monotonic()
    with writer.begin() as connection:
        add(connection)

    assert time.monotonic() - began < engine.BUSY_TIMEOUT.total_seconds() / 2


def interleave(database: Database) -> list[int]:
    """Read, let another writer try, and write; return the sums and how often each one ran.

    The first result is the sum after both added one; the second how often the first ran.
    """
    tries: list[int] = []

    def add_slowly(connection: Connection) -> None:
        total = connection.execute(COUNT).scalar_one()
        tries.append(total)
        if len(tries) == 1:
            others.append(pool.submit(database.write, add))
            threading.Event().wait(A_WHILE)
        connection.execute(SET, {"total": total + 1})

    others: list[Future[None]] = []
    with ThreadPoolExecutor() as pool:
        with database.engine.begin() as connection:
            add_slowly(connection)
        for other in others:
            other.result(PATIENCE)
    return [database.read(lambda c: c.execute(COUNT).scalar_one()), len(tries)]


def add(connection: Connection) -> None:
    total = connection.execute(COUNT).scalar_one()
    connection.execute(SET, {"total": total + 1})
