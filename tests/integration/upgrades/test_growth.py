"""F47: code of the release before packed events and counts, beside this one's on one ledger."""

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from sqlalchemy import Connection, func, select, text

from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.revision import MINIMUM, fact
from failsoft.ledger.schema.tables import events
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.scripts import load
from failsoft.ledger.verify import verify
from failsoft.testing.ledger_suite.fixtures import SUCCESS, claimed, new_job, plan
from tests.servers.processes import PATIENCE, wait_until

pytestmark = pytest.mark.fault("F47")

BEFORE = [each for each in load() if each.revision < "0003"]
#: What code of the release before writes for a job that it dispatches, claims and ends.
OLDER = tuple(
    text(each)
    for each in (
        (
            "INSERT INTO failsoft_jobs (id, name, queue, state, engine, epoch, payload,"
            " payload_sha, events, created_at, pickup_by)"
            " VALUES (:id, 'older', 'default', 'offered', 'first', 1, '{}', '', 1, 1000, 2000)"
        ),
        (
            "INSERT INTO failsoft_events (job_id, n, at, actor, kind, state, epoch, detail)"
            " VALUES (:id, 1, 1000, 'web', 'dispatch', 'offered', 1, '{\"engine\": \"first\"}')"
        ),
        (
            "UPDATE failsoft_jobs SET state = 'running', claim_id = :id, claims = 1, events = 2,"
            " started_at = 1001, pickup_by = NULL, lease_until = 9000, revision = 1"
            " WHERE id = :id AND state = 'offered'"
        ),
        (
            "INSERT INTO failsoft_attempts (job_id, epoch, claim_id, engine, worker, started_at)"
            " VALUES (:id, 1, :id, 'first', 'worker', 1001)"
        ),
        (
            "INSERT INTO failsoft_events (job_id, n, at, actor, kind, state, epoch, detail)"
            " VALUES (:id, 2, 1001, 'worker', 'claim', 'running', 1, :claim)"
        ),
        (
            "UPDATE failsoft_jobs SET state = 'succeeded', claim_id = NULL, lease_until = NULL,"
            " events = 3, finished_at = 1002, revision = 2 WHERE id = :id AND state = 'running'"
        ),
        "UPDATE failsoft_attempts SET ended_at = 1002, outcome = 'succeed' WHERE job_id = :id",
        (
            "INSERT INTO failsoft_events (job_id, n, at, actor, kind, state, epoch, detail)"
            " VALUES (:id, 3, 1002, 'worker', 'succeed', 'succeeded', 1, '{}')"
        ),
        (
            "INSERT INTO failsoft_aggregates (name, queue, engine, outcome, shard, count)"
            " VALUES ('older', 'default', 'first', 'succeeded', 0, 1)"
            " ON CONFLICT (name, queue, engine, outcome, shard)"
            " DO UPDATE SET count = failsoft_aggregates.count + 1"
        ),
    )
)


def live_as_before(database: Database) -> str:
    """Let a job live as code of the release before lets it; return its id."""
    job = secrets.token_hex(16)
    given = {"id": job, "claim": f'{{"claim": "{job}", "engine": "first"}}'}
    for some in (OLDER[:2], OLDER[2:5], OLDER[5:]):

        def work(connection: Connection, some: Sequence[object] = some) -> None:
            for each in some:
                connection.execute(each, given)  # type: ignore[call-overload]

        database.write(work)
    return job


def live(ledger: SqlLedger) -> str:
    """Let a job live as code of this release lets it; return its id."""
    job, _ = ledger.record_job(new_job(), plan())
    assert ledger.conclude(claimed(ledger, job), SUCCESS) is JobState.SUCCEEDED
    return job.id


def told(history: Sequence[HistoryEntry]) -> Sequence[tuple[int, str, str]]:
    return [(each.n, each.kind, each.state) for each in history]


LIFE = [(1, "dispatch", "offered"), (2, "claim", "running"), (3, "succeed", "succeeded")]


@pytest.fixture
def older(ledger_url: str) -> Iterator[Database]:
    """Return a ledger of the release before."""
    with closing(Database(ledger_url)) as database:
        upgrade(database, migrations=BEFORE)
        yield database


def rows_of(database: Database, job_id: str) -> int:
    """Return how many events of a job are rows of their own."""
    statement = select(func.count()).select_from(events).where(events.c.job_id == job_id)
    return int(database.read(lambda c: c.execute(statement).scalar_one()))


def expect_sound(database: Database) -> None:
    assert [each for checked in verify(database) for each in checked.violations] == []


def test_code_of_the_release_before_can_read_what_this_one_writes_until_it_is_gone(
    older: Database,
) -> None:
    before = live_as_before(older)

    upgrade(older)
    beside, ours = live_as_before(older), live(SqlLedger(older))

    ledger = SqlLedger(older)
    assert [rows_of(older, each) for each in (before, beside, ours)] == [3, 3, 3]
    assert [told(ledger.events(each)) for each in (before, beside, ours)] == [LIFE] * 3
    assert older.read(lambda c: fact(c, MINIMUM)) == load()[0].minimum
    expect_sound(older)


def test_a_finished_rollout_packs_the_events_of_new_jobs(older: Database) -> None:
    upgrade(older)
    ledger = SqlLedger(older)
    begun, _ = ledger.record_job(new_job(), plan())

    done = upgrade(older, finish=True)

    # A process that has been running all the time, and a job that was dispatched before.
    ledger.conclude(claimed(ledger, begun), SUCCESS)
    ours = live(ledger)
    assert (done.minimum, rows_of(older, begun.id), rows_of(older, ours)) == ("0003", 3, 0)
    assert [told(ledger.events(each)) for each in (begun.id, ours)] == [LIFE] * 2
    expect_sound(older)


def test_an_upgrade_after_it_leaves_the_rollout_finished(older: Database) -> None:
    upgrade(older, finish=True)

    assert upgrade(older).minimum == "0003"


def test_jobs_are_counted_rightly_whatever_older_code_has_pruned(older: Database) -> None:
    old = [live_as_before(older) for _ in range(3)]
    upgrade(older)
    ledger = SqlLedger(older)
    live(ledger)
    assert ledger.counts() == {JobState.SUCCEEDED: 4}

    older.write(lambda c: c.execute(jobs.delete().where(jobs.c.id == old[0])))
    assert ledger.counts() == {JobState.SUCCEEDED: 3}
    upgrade(older, finish=True)

    assert ledger.counts() == {JobState.SUCCEEDED: 3}
    live(ledger)
    assert ledger.counts() == {JobState.SUCCEEDED: 4}
    expect_sound(older)


def test_a_job_that_older_code_carries_on_keeps_its_history(older: Database) -> None:
    """A worker of the release before that was not replaced, after all."""
    upgrade(older, finish=True)
    ledger = SqlLedger(older)
    job, _ = ledger.record_job(new_job(), plan())

    given = {"id": job.id, "claim": f'{{"claim": "{job.id}", "engine": "first"}}'}
    for each in OLDER[2:5]:
        older.write(lambda c, each=each: c.execute(each, given))

    assert told(ledger.events(job.id)) == LIFE[:2]


def test_a_new_ledger_is_finished(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        done = upgrade(database)

        ours = live(SqlLedger(database))
        assert (done.minimum, rows_of(database, ours)) == ("0003", 0)


def test_older_code_goes_on_while_the_ledger_is_upgraded(older: Database) -> None:
    is_over, lived, errors = threading.Event(), list[str](), list[BaseException]()

    def go_on() -> None:
        while not is_over.is_set():
            try:
                lived.append(live_as_before(older))
            except Exception as error:  # noqa: BLE001 - the test shows them all
                errors.append(error)
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        wait_until(lambda: len(lived) > 5 or errors, PATIENCE, "some jobs")
        upgrade(older)
        at_the_end = len(lived)
        wait_until(lambda: len(lived) > at_the_end + 5 or errors, PATIENCE, "some more")
    finally:
        is_over.set()
        thread.join()

    assert errors == []
    assert SqlLedger(older).counts() == {JobState.SUCCEEDED: len(lived)}
    expect_sound(older)
