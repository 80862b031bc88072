"""READ COMMITTED and two connections: a fence must lock the row that it reads (R28)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy import text

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.invariants import history_of, violations
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.processes import PATIENCE, wait_until

#: The fence that must not be used: PostgreSQL reads the job as it was, and locks nothing.
_STEP_IF_STILL_MINE = text(
    "INSERT INTO failsoft_steps (job_id, name, seq, kind, result, epoch, recorded_at)"
    " SELECT id, 'stale', 0, 'run', '1', epoch, 0 FROM failsoft_jobs"
    " WHERE id = :id AND epoch = :epoch AND claim_id = :claim_id AND state = 'running'"
)

_HOLD_UP = (
    (
        "CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'"
    ),
    "CREATE TRIGGER hold_up BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION hold_up()",
)


@pytest.fixture
def worker(postgres_url: str) -> Iterator[SqlLedger]:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        yield SqlLedger(database, actor="worker")


@pytest.fixture
def rescuer(postgres_url: str) -> Iterator[SqlLedger]:
    with closing(Database(postgres_url)) as database:
        yield SqlLedger(database, actor="rescuer")


@pytest.fixture
def another() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_a_rescuer_waits_for_a_step_that_is_being_recorded(
    worker: SqlLedger, rescuer: SqlLedger, another: ThreadPoolExecutor
) -> None:
    claim = fixtures.started(worker)
    seen = rescuer.get(claim.job_id)

    with writes_held_up(worker, "failsoft_steps") as let_go_on:
        recorded = another.submit(worker.record, claim, fixtures.step())
        wait_until(lambda: waiting(worker) == 1, 10, "the step waits, past its fence")
        offered = another.submit(rescuer.offer, seen, fixtures.plan(fixtures.SECOND))
        wait_until(lambda: waiting(worker) == 2, 10, "the rescuer waits for the step")
        let_go_on()

    recorded.result(timeout=10)
    assert offered.result(timeout=10) is None, "expected the rescuer to find the lease renewed"
    assert worker.begin(claim, "fetch", 0)
    expect_sound(worker, claim.job_id)


def test_a_step_waits_for_a_rescuer_that_hands_its_job_over(
    worker: SqlLedger, rescuer: SqlLedger, another: ThreadPoolExecutor
) -> None:
    claim = fixtures.started(worker)
    seen = rescuer.get(claim.job_id)

    with writes_held_up(worker, "failsoft_attempts") as let_go_on:
        offered = another.submit(rescuer.offer, seen, fixtures.plan(fixtures.SECOND))
        wait_until(lambda: waiting(worker) == 1, 10, "the rescuer waits, past its fence")
        recorded = another.submit(worker.record, claim, fixtures.step())
        wait_until(lambda: waiting(worker) == 2, 10, "the step waits for the rescuer")
        let_go_on()

    assert offered.result(timeout=10) is not None
    with pytest.raises(Fenced):
        recorded.result(timeout=10)
    assert not worker.steps(claim.job_id)
    expect_sound(worker, claim.job_id)


def test_two_ends_of_one_attempt_are_one(
    worker: SqlLedger, rescuer: SqlLedger, another: ThreadPoolExecutor
) -> None:
    claim = fixtures.started(worker)

    with writes_held_up(worker, "failsoft_aggregates") as let_go_on:
        succeeded = another.submit(rescuer.conclude, claim, fixtures.SUCCESS)
        wait_until(lambda: waiting(worker) == 1, PATIENCE, "the first end waits to be counted")
        failed = another.submit(worker.conclude, claim, fixtures.FAILURE)
        wait_until(lambda: waiting(worker) == 2, PATIENCE, "the second waits for the first")
        let_go_on()

    assert succeeded.result(PATIENCE) is failed.result(PATIENCE) is JobState.SUCCEEDED
    expect_sound(worker, claim.job_id)


def test_a_fence_without_a_lock_lets_a_stale_step_in(worker: SqlLedger, rescuer: SqlLedger) -> None:
    """The trap itself, so that the tests above are known to look at it."""
    claim = fixtures.started(worker)
    mine = {"id": claim.job_id, "epoch": claim.epoch, "claim_id": claim.claim_id}

    with worker.database.engine.begin() as connection:
        connection.execute(_STEP_IF_STILL_MINE, mine)
        taken = fixtures.claimed(
            rescuer, fixtures.reoffered(rescuer, claim.job_id, fixtures.SECOND)
        )

    assert [step.epoch for step in rescuer.steps(claim.job_id)] == [claim.epoch]
    assert taken.epoch > claim.epoch
    assert list(violations(history_of(rescuer, claim.job_id)))


@contextmanager
def writes_held_up(ledger: SqlLedger, table: str) -> Iterator[Callable[[], None]]:
    """Hold everybody up who writes to a table, in the middle of the statement."""
    with ledger.database.engine.begin() as connection:
        for statement in _HOLD_UP:
            connection.exec_driver_sql(statement.format(table))
    with psycopg.connect(_address(ledger), autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(1)")
        yield lambda: gate.execute("SELECT pg_advisory_unlock(1)") and None


def waiting(ledger: SqlLedger) -> int:
    """Return how many wait for a lock."""
    statement = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(_address(ledger)) as connection:
        row = connection.execute(statement).fetchone()
    return row[0] if row else 0


def _address(ledger: SqlLedger) -> str:
    return str(ledger.database.url).replace("+psycopg", "")


def expect_sound(ledger: SqlLedger, job_id: str) -> None:
    found = list(violations(history_of(ledger, job_id)))
    assert not found, f"expected a sound history, got {found}"
