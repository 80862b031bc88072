"""Threads that write to PostgreSQL at the same time share a statement; each has its own fence."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.crash_points import HOOKS
from failsoft.job_engine.records.job import Claim, JobRecord, Ticket
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.processes import PATIENCE, wait_until

CROWD = 6


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[SqlLedger]:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        yield SqlLedger(database)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * CROWD) as pool:
        yield pool


def test_claims_that_meet_are_one_transaction(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    records = offered(ledger)
    first, *others = [lambda record=record: fixtures.claimed(ledger, record) for record in records]

    claims = [each.result(PATIENCE) for each in all_at_once(ledger, threads, first, others)]

    assert {claim.job_id for claim in claims} == {record.id for record in records[1:]}
    assert len({claim.claim_id for claim in claims}) == len(others)
    assert len(transactions(ledger, "attempts", [claim.job_id for claim in claims])) == 1
    for claim in claims:
        expect_running(ledger, claim)


def test_a_claim_that_is_lost_takes_no_other_with_it(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    records = offered(ledger)
    tickets = [fixtures.ticket(record) for record in records]
    fixtures.reoffered(ledger, records[3].id)
    first, *others = [lambda each=each: ledger.claim(each) for each in tickets]

    found = [each.result(PATIENCE) for each in all_at_once(ledger, threads, first, others)]

    assert [claim is None for claim in found] == [ticket is tickets[3] for ticket in tickets[1:]]
    assert ledger.get(records[3].id).state is JobState.OFFERED
    assert not ledger.attempts(records[3].id)
    for claim in found:
        if claim is not None:
            expect_running(ledger, claim)
            assert claim.claim_id in {ticket.claim_id for ticket in tickets}


def test_two_claims_of_one_job_are_one_claim(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    records = offered(ledger)
    tickets = [fixtures.ticket(each) for each in (*records, *records[1:])]
    first, *others = [lambda each=each: ledger.claim(each) for each in tickets]

    found = [each.result(PATIENCE) for each in all_at_once(ledger, threads, first, others)]

    claims = [claim for claim in found if claim is not None]
    assert sorted(claim.job_id for claim in claims) == sorted(each.id for each in records[1:])
    for claim in claims:
        assert len(ledger.attempts(claim.job_id)) == 1
        expect_running(ledger, claim)


def test_a_job_that_is_locked_keeps_no_other_waiting(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    records = offered(ledger)
    first, *others = [lambda record=record: fixtures.claimed(ledger, record) for record in records]

    with locked(ledger, records[2].id) as unlock:
        waits = all_at_once(ledger, threads, first, others)
        for record, each in zip(records[1:], waits, strict=True):
            if record is not records[2]:
                assert each.result(PATIENCE).job_id == record.id
        assert not waits[1].done()
        unlock()

    expect_running(ledger, waits[1].result(PATIENCE))


def test_claims_of_one_call_are_one_transaction_and_wait_for_no_lock(ledger: SqlLedger) -> None:
    records = offered(ledger)
    tickets = [fixtures.ticket(record) for record in records]

    with locked(ledger, records[2].id) as unlock:
        claims = ledger.claim_many(tickets)
        unlock()

    made = [claim.job_id for claim in claims]
    assert sorted(made) == sorted(each.id for each in records if each is not records[2])
    assert len(transactions(ledger, "attempts", made)) == 1
    for claim in claims:
        expect_running(ledger, claim)
    assert ledger.claim(tickets[2]) is not None


def test_ends_that_meet_are_one_transaction_and_each_has_its_fence(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    claims = [fixtures.claimed(ledger, record) for record in offered(ledger)]
    newer = fixtures.taken_over(ledger, claims[4])
    first, *others = [lambda each=each: conclude(ledger, each) for each in claims]

    found = [each.result(PATIENCE) for each in all_at_once(ledger, threads, first, others)]

    assert found == ["succeeded", "succeeded", "succeeded", "fenced", "succeeded"]
    ended = [each for each in claims[1:] if each is not claims[4]]
    assert len(transactions(ledger, "attempts", [each.job_id for each in ended])) == 1
    for claim in ended:
        assert ledger.get(claim.job_id).result == f'"{claim.job_id}"'
        fixtures.expect_sound_history(ledger, claim.job_id)
        assert [each.outcome for each in ledger.attempts(claim.job_id)] == ["succeed"]
    expect_running(ledger, newer)
    assert ended_in_all(ledger) == CROWD - 1


def test_steps_that_meet_are_one_transaction_and_each_has_its_fence(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    claims = [fixtures.claimed(ledger, record) for record in offered(ledger)]
    fixtures.taken_over(ledger, claims[2])
    ledger.record(claims[5], fixtures.step())
    first, *others = [lambda each=each: record(ledger, each) for each in claims]

    found = [each.result(PATIENCE) for each in all_at_once(ledger, threads, first, others)]

    assert found == ["recorded", "fenced", "recorded", "recorded", "recorded"]
    new = [claims[number].job_id for number in (1, 3, 4)]
    assert len(transactions(ledger, "steps", new)) == 1
    assert not ledger.steps(claims[2].job_id)
    for job_id in (*new, claims[5].job_id):
        assert [each.name for each in ledger.steps(job_id)] == ["fetch"]


def test_an_end_that_the_database_refuses_keeps_no_other_from_ending(
    ledger: SqlLedger, threads: ThreadPoolExecutor
) -> None:
    claims = [fixtures.claimed(ledger, record) for record in offered(ledger)]
    works = [lambda each=each: conclude(ledger, each) for each in claims]
    no_text = replace(fixtures.SUCCESS, result="no text: \0")
    works[3] = lambda: ledger.conclude(claims[3], no_text)
    first, *others = works

    ends = all_at_once(ledger, threads, first, others)

    assert ends[2].exception(PATIENCE) is not None
    for number in (0, 1, 3, 4):
        assert ends[number].result(PATIENCE) == "succeeded"
    expect_running(ledger, claims[3])


@pytest.mark.parametrize("point", ["claim.after", "conclude.after"])
def test_what_a_batch_has_committed_is_found_again_where_its_answer_is_lost(
    ledger: SqlLedger, threads: ThreadPoolExecutor, point: str
) -> None:
    records = offered(ledger)
    tickets = [fixtures.ticket(record) for record in records]

    def whole(ticket: Ticket) -> str:
        claim = ledger.claim(ticket)
        assert claim is not None
        assert claim.claim_id == ticket.claim_id
        return conclude(ledger, claim)

    with answers_lost(point) as lost:
        first, *others = [lambda each=each: whole(each) for each in tickets]
        found = [each.result(PATIENCE) for each in all_at_once(ledger, threads, first, others)]

    assert found == ["succeeded"] * len(others)
    assert len(lost) == CROWD
    assert ended_in_all(ledger) == CROWD
    for record in records:
        assert [each.outcome for each in ledger.attempts(record.id)] == ["succeed"]
        fixtures.expect_sound_history(ledger, record.id)


@contextmanager
def answers_lost(point: str) -> Iterator[set[int]]:
    """Lose the answer at a crash point, once for each thread; the threads are returned."""
    lost = set[int]()

    def lose(reached: str) -> None:
        thread = threading.get_ident()
        if reached == point and thread not in lost:
            lost.add(thread)
            error = OperationalError("a statement", None, ConnectionError("a lost answer"))
            error.connection_invalidated = True
            raise error

    HOOKS.append(lose)
    try:
        yield lost
    finally:
        HOOKS.remove(lose)


def offered(ledger: SqlLedger) -> Sequence[JobRecord]:
    return [fixtures.offered(ledger) for _ in range(CROWD)]


def conclude(ledger: SqlLedger, claim: Claim) -> str:
    try:
        return ledger.conclude(claim, replace(fixtures.SUCCESS, result=f'"{claim.job_id}"'))
    except Fenced:
        return "fenced"


def record(ledger: SqlLedger, claim: Claim) -> str:
    try:
        ledger.record(claim, fixtures.step())
    except Fenced:
        return "fenced"
    return "recorded"


def all_at_once(
    ledger: SqlLedger,
    threads: ThreadPoolExecutor,
    first: Callable[[], Any],
    others: Sequence[Callable[[], Any]],
) -> list[Future[Any]]:
    """Let all others meet while the first waits for its job's row; return what becomes of them."""
    with held(ledger) as (hold_up, let_go_on):
        hold_up()
        leads = threads.submit(first)
        wait_until(lambda: locks_waited_for(ledger) == 1, PATIENCE, "the first one waits")
        begun = []
        for number, work in enumerate(others, 1):
            begun.append(threads.submit(work))
            wait_until(lambda number=number: queued(ledger) == number, PATIENCE, "it waits")
        let_go_on()
    leads.result(PATIENCE)
    return begun


@contextmanager
def held(ledger: SqlLedger) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Keep everybody from changing a job: what only reads and locks is not kept waiting."""
    with psycopg.connect(address(ledger)) as connection:
        yield (
            lambda: connection.execute("LOCK TABLE failsoft_jobs IN SHARE MODE"),
            connection.commit,
        )


@contextmanager
def locked(ledger: SqlLedger, job_id: str) -> Iterator[Callable[[], object]]:
    with psycopg.connect(address(ledger)) as connection:
        lock = "SELECT id FROM failsoft_jobs WHERE id = %s FOR UPDATE"
        connection.execute(lock, (job_id,))
        yield connection.commit


def queued(ledger: SqlLedger) -> int:
    queues = ledger.database._writer._batches._queues  # type: ignore[union-attr]
    return sum(len(queue._waiting) for queue in queues.values())


def locks_waited_for(ledger: SqlLedger) -> int:
    statement = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return ledger.database.read(lambda c: c.execute(statement).scalar_one())


def transactions(ledger: SqlLedger, table: str, job_ids: Sequence[str]) -> set[str]:
    """Return the transactions that wrote rows of jobs."""
    statement = text(f"SELECT xmin::text FROM failsoft_{table} WHERE job_id = ANY(:ids)")  # noqa: S608
    found = ledger.database.read(lambda c: c.execute(statement, {"ids": list(job_ids)}).scalars())
    return set(found)


def ended_in_all(ledger: SqlLedger) -> int:
    statement = text("SELECT sum(count) FROM failsoft_aggregates WHERE outcome = 'succeeded'")
    return int(ledger.database.read(lambda c: c.execute(statement).scalar_one()))


def expect_running(ledger: SqlLedger, claim: Claim) -> None:
    assert ledger.begin(claim, "not recorded", 9) == []
    fixtures.expect_sound_history(ledger, claim.job_id)


def address(ledger: SqlLedger) -> str:
    url = ledger.database.url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
