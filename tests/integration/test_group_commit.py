"""Threads that write to a SQLite ledger at the same time wait for its disk once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.errors import LedgerError
from failsoft.ledger import SqlLedger
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.processes import PATIENCE, wait_until

CROWD = 16


class RefusedError(LedgerError):
    """What a work raises."""


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        database.make_file()
        database.write(lambda c: c.execute(text("CREATE TABLE tally (number INTEGER UNIQUE)")))
        yield database


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CROWD + 1) as pool:
        yield pool


def add(number: int) -> Callable[[RawConnection], int]:
    def work(channel: RawConnection) -> int:
        channel.execute(f"INSERT INTO tally VALUES ({number:d})")  # noqa: S608 - a number
        return number

    return work


def refuse(channel: RawConnection) -> int:
    channel.execute("INSERT INTO tally VALUES (1000)")
    raise RefusedError


def numbers(database: Database) -> list[int]:
    found = database.read(lambda c: c.execute(text("SELECT number FROM tally ORDER BY number")))
    return list(found.scalars())


@contextmanager
def all_waiting(database: Database, threads: ThreadPoolExecutor, works: list[Any]) -> Iterator[Any]:
    """Let every work wait for one turn, and let go of it at the end of the block."""
    with holding(database, threads):
        begun = []
        for number, work in enumerate(works, 1):
            begun.append(threads.submit(database.write_one, work))
            wait_for(database, number)
        yield begun


@contextmanager
def holding(database: Database, threads: ThreadPoolExecutor) -> Iterator[None]:
    """Have the turn in a thread."""
    has_turn, goes_on = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        has_turn.set()
        assert goes_on.wait(PATIENCE)

    holds = threads.submit(database.write, hold)
    assert has_turn.wait(PATIENCE)
    yield
    goes_on.set()
    holds.result(PATIENCE)


def wait_for(database: Database, number: int) -> None:
    """Wait until so many threads wait for the turn."""
    waiting = database._writer._write_queue._waiting  # type: ignore[union-attr]
    wait_until(lambda: len(waiting) == number, PATIENCE, "all of them wait")


def endings(futures: list[Future[int]]) -> list[object]:
    return [future.exception(PATIENCE) or future.result() for future in futures]


@pytest.fixture
def commits(database: Database, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the statements around transactions of channels."""
    counted: Counter[str] = Counter()
    execute = RawConnection.execute

    def counting(channel: RawConnection, statement: str) -> None:
        execute(channel, statement)
        counted[statement] += 1

    monkeypatch.setattr(RawConnection, "execute", counting)
    return counted


def test_what_waits_is_committed_at_once(
    database: Database, threads: ThreadPoolExecutor, commits: Counter[str]
) -> None:
    with all_waiting(database, threads, [add(n) for n in range(CROWD)]) as begun:
        pass

    assert endings(begun) == list(range(CROWD))
    assert numbers(database) == list(range(CROWD))
    assert commits["COMMIT"] == 1


@pytest.mark.parametrize("place", [0, 1, CROWD // 2, CROWD])
def test_only_who_fails_fails(database: Database, threads: ThreadPoolExecutor, place: int) -> None:
    works: list[Any] = [add(n) for n in range(CROWD)]
    works.insert(place, refuse)
    with all_waiting(database, threads, works[:CROWD]) as begun:
        pass

    expected = list(range(CROWD))
    found = endings(begun)
    refused = [end for end in found if isinstance(end, RefusedError)]
    assert len(refused) == (place < CROWD)
    assert [end for end in found if end not in refused] == expected[: len(found) - len(refused)]
    assert numbers(database) == expected[: len(found) - len(refused)]


def test_two_that_want_the_same_fail_for_one(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    with all_waiting(database, threads, [add(1), add(2), add(1), add(3)]) as begun:
        pass

    found = endings(begun)
    assert [end for end in found if isinstance(end, int)] in ([1, 2, 3], [2, 1, 3])
    assert sum(isinstance(end, LedgerError) for end in found) == 1
    assert numbers(database) == [1, 2, 3]


def test_after_a_commit_that_failed_each_commits_its_own(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, failed = RawConnection.execute, list[str]()

    def fail_once(channel: RawConnection, statement: str) -> None:
        if statement == "COMMIT" and not failed:
            failed.append(statement)
            raise OperationalError(statement, None, OSError("the disk is full"))
        execute(channel, statement)

    monkeypatch.setattr(RawConnection, "execute", fail_once)
    with all_waiting(database, threads, [add(n) for n in range(CROWD)]) as begun:
        pass

    assert endings(begun) == list(range(CROWD))
    assert numbers(database) == list(range(CROWD))
    assert failed


def test_no_write_is_reported_done_before_its_commit(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, committing, goes_on = RawConnection.execute, threading.Event(), threading.Event()

    def commit_later(channel: RawConnection, statement: str) -> None:
        if statement == "COMMIT":
            committing.set()
            assert goes_on.wait(PATIENCE)
        execute(channel, statement)

    monkeypatch.setattr(RawConnection, "execute", commit_later)
    with all_waiting(database, threads, [add(n) for n in range(CROWD)]) as begun:
        pass
    assert committing.wait(PATIENCE)

    assert not any(future.done() for future in begun)
    assert numbers(database) == []

    goes_on.set()
    assert endings(begun) == list(range(CROWD))


@pytest.mark.parametrize("when", ["before the commit", "after it"])
def test_who_is_interrupted_ends_no_other(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    execute, interrupted, tried = RawConnection.execute, list[str](), Counter[int]()

    def interrupt_once(channel: RawConnection, statement: str) -> None:
        meets = statement == "COMMIT" and not interrupted
        if not meets or when == "after it":
            execute(channel, statement)
        if meets:
            interrupted.append(statement)
            raise KeyboardInterrupt

    def counting(number: int) -> Callable[[RawConnection], int]:
        def work(channel: RawConnection) -> int:
            tried[number] += 1
            return add(number)(channel)

        return work

    monkeypatch.setattr(RawConnection, "execute", interrupt_once)
    with all_waiting(database, threads, [counting(n) for n in range(CROWD)]) as begun:
        pass

    first, *others = endings(begun)
    assert isinstance(first, KeyboardInterrupt)
    assert others == list(range(1, CROWD))
    is_there = when == "after it"
    assert numbers(database) == list(range(0 if is_there else 1, CROWD))
    # What is committed is not done again: who recorded a job would be told that it was there.
    assert set(tried.values()) == ({1} if is_there else {1, 2})


def test_an_attempt_that_is_fenced_ends_no_other(
    sqlite_url: str, threads: ThreadPoolExecutor
) -> None:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        ledger = SqlLedger(database, actor="tests")
        held = [fixtures.started(ledger) for _ in range(CROWD)]
        lost = held[1:CROWD:3]
        for claim in lost:
            fixtures.taken_over(ledger, claim)

        with holding(database, threads):
            begun = [threads.submit(ledger.record, claim, fixtures.step()) for claim in held]
            wait_for(database, len(begun))

        fenced = [isinstance(future.exception(PATIENCE), Fenced) for future in begun]
        assert fenced == [claim in lost for claim in held]
        recorded = [bool(ledger.steps(claim.job_id)) for claim in held]
        assert recorded == [not each for each in fenced]


def test_every_write_of_a_crowd_is_there_and_no_other(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    def write(lane: int) -> list[int]:
        written = []
        for number in range(lane * 100, lane * 100 + 50):
            fails = number % 7 == 0
            try:
                written.append(database.write_one(failing(number) if fails else add(number)))
            except RefusedError:
                assert fails
            if number % 11 == 0:
                database.write(lambda c: c.execute(text("UPDATE tally SET number = number")))
        return written

    lanes = [threads.submit(write, lane) for lane in range(CROWD)]

    written = sorted(number for lane in lanes for number in lane.result(PATIENCE))
    assert numbers(database) == written
    assert len(written) == sum(
        n % 7 != 0 for lane in range(CROWD) for n in range(lane * 100, lane * 100 + 50)
    )


def failing(number: int) -> Callable[[RawConnection], int]:
    def work(channel: RawConnection) -> int:
        add(number)(channel)
        raise RefusedError

    return work
