"""F39: a key stands for its job for as long as it says, however soon the job is pruned."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.policies.retention import IDEMPOTENCY_FOR, Retention
from failsoft.job_engine.records.follow_ups import FollowUps, NextJob
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import keys
from failsoft.ledger.transitions.insert import record
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import SETTLES, SqlPruner
from failsoft.ledger.verify import verify
from failsoft.testing.ledger_suite.fixtures import (
    FAILURE,
    SUCCESS,
    claimed,
    new_job,
    offered,
    plan,
    waiting,
)
from tests.servers.postgresql.database_clock import DatabaseClock
from tests.servers.postgresql.postgres import Postgres

pytestmark = pytest.mark.fault("F39")

HOUR = timedelta(hours=1)
#: Everything that has ended may go.
NOTHING_KEPT = Retention(age=timedelta(days=365), count=0)


class HostClock(SystemClock):
    """The clock of a host that agrees with the ledger's, however far a test moves that."""

    def __init__(self, of_ledger: DatabaseClock) -> None:
        self._of_ledger = of_ledger

    def now(self) -> datetime:
        return self._of_ledger.now()


class Ledger:
    """A ledger whose clock a test moves, with its pruner."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        upgrade(self.database)
        self.clock = DatabaseClock(self.database)
        self.sql = SqlLedger(self.database, actor="tests")
        self.pruner = SqlPruner(
            self.database, settles=timedelta(0), host_clock=HostClock(self.clock)
        )

    def succeeded(self, new: NewJob) -> JobRecord:
        """Let a job live and end."""
        job, created = self.sql.record_job(new, plan())
        assert created
        self.sql.conclude(claimed(self.sql, job), SUCCESS)
        return self.sql.get(job.id)

    def prune(self, pruner: SqlPruner | None = None) -> int:
        """Prune succeeded jobs as `prune_ledger` does; return how many rows went."""
        pruner, which = pruner or self.pruner, ("send_welcome", JobState.SUCCEEDED, NOTHING_KEPT)
        return sum(iter(lambda: pruner.prune(*which, 100), 0))

    def again(self, new: NewJob) -> tuple[JobRecord, bool]:
        return self.sql.record_job(replace(new, id=f"{new.id}-again"), plan())

    def rows(self) -> int:
        count = text("SELECT count(*) FROM failsoft_jobs")
        return int(self.database.read(lambda c: c.execute(count).scalar_one()))

    def violations(self) -> list[str]:
        found = [each for checked in verify(self.database) for each in checked.violations]
        return [each.invariant for each in found]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    with closing(made.database):
        yield made
        assert made.violations() == []


KEYED = new_job(id="first", idempotency_key="order-1", key_for=timedelta(days=2))


def test_a_key_stands_for_its_pruned_job(ledger: Ledger) -> None:
    job = ledger.succeeded(KEYED)
    assert (ledger.prune(), ledger.rows()) == (1, 0)

    found, created = ledger.again(KEYED)

    assert not created
    assert found.is_pruned
    assert (found.id, found.state, found.payload_sha) == (job.id, job.state, job.payload_sha)
    assert (found.name, found.queue, found.idempotency_key) == (job.name, job.queue, "order-1")
    assert (found.created_at, found.finished_at) == (job.created_at, job.finished_at)
    assert ledger.rows() == 0


def test_and_for_nothing_when_its_time_is_over(ledger: Ledger) -> None:
    ledger.succeeded(KEYED)
    ledger.prune()
    ledger.clock.advance(timedelta(days=2) + HOUR)

    second, created = ledger.again(KEYED)
    assert created

    ledger.sql.conclude(claimed(ledger.sql, second), SUCCESS)
    assert ledger.prune() == 1
    assert ledger.again(KEYED)[0].id == second.id


def test_keys_are_pruned_when_their_time_is_over_and_not_before(ledger: Ledger) -> None:
    ledger.succeeded(KEYED)
    ledger.succeeded(new_job(idempotency_key="order-2", key_for=timedelta(days=3)))
    ledger.prune()
    assert ledger.pruner.prune_keys(10) == 0

    ledger.clock.advance(timedelta(days=2) + HOUR)

    assert (ledger.pruner.prune_keys(10), ledger.pruner.prune_keys(10)) == (1, 0)


def test_a_key_lives_as_long_as_its_job(ledger: Ledger) -> None:
    job = ledger.succeeded(KEYED)
    ledger.clock.advance(timedelta(days=30))

    found, created = ledger.again(KEYED)

    assert (found, created) == (job, False)


def test_an_id_that_the_caller_gave_is_remembered_as_a_key_is(ledger: Ledger) -> None:
    named = new_job(id="order-7", key_for=HOUR)
    job = ledger.succeeded(named)
    ledger.prune()

    found, created = ledger.sql.record_job(named, plan())

    assert (found.id, found.state, found.is_pruned, created) == (job.id, job.state, True, False)
    assert ledger.sql.get("order-7") == found
    ledger.clock.advance(2 * HOUR)
    with pytest.raises(JobNotFoundError):
        ledger.sql.get("order-7")
    assert ledger.sql.record_job(named, plan())[1]


def test_an_id_that_no_caller_knew_is_not_kept(ledger: Ledger) -> None:
    job = ledger.succeeded(new_job())

    assert ledger.prune() == 1
    with pytest.raises(JobNotFoundError):
        ledger.sql.get(job.id)


def test_a_key_of_code_that_did_not_say_how_long_is_remembered_for_the_default(
    ledger: Ledger,
) -> None:
    of_before = replace(KEYED, key_for=None)
    ledger.succeeded(of_before)
    ledger.prune()

    ledger.clock.advance(IDEMPOTENCY_FOR - HOUR)
    assert ledger.again(KEYED)[1] is False
    ledger.clock.advance(2 * HOUR)
    assert ledger.again(KEYED)[1] is True


def test_many_find_pruned_jobs_among_new_ones(ledger: Ledger) -> None:
    ledger.succeeded(KEYED)
    ledger.prune()
    other = new_job(id="other", idempotency_key="order-2", key_for=HOUR)

    found = ledger.sql.record_jobs([(replace(KEYED, id="x"), plan()), (other, plan())])

    assert [(job.id, created) for job, created in found] == [("first", False), ("other", True)]


def test_a_chain_is_known_by_its_id_when_some_of_its_jobs_are_gone(ledger: Ledger) -> None:
    then = FollowUps(then=NextJob("chain-1")).text
    first = new_job(id="chain-0", key_for=HOUR, follow_ups=then)
    last = new_job(id="chain-1", key_for=HOUR, waits_for="chain-0")
    records, created = ledger.sql.record_chain([first, last], plan())
    assert created
    ledger.sql.conclude(claimed(ledger.sql, records[0]), SUCCESS)
    assert ledger.prune() == 1

    again, created = ledger.sql.record_chain([first, last], plan())

    assert ([job.id for job in again], created) == (["chain-0", "chain-1"], False)
    assert [job.is_pruned for job in again] == [True, False]


def test_a_chain_is_known_by_its_id_when_the_job_before_it_is_gone(ledger: Ledger) -> None:
    before = ledger.succeeded(new_job(id="before"))
    waits = new_job(id="chain-0", name="send_invoice", waits_for=before.id)
    [first], created = ledger.sql.record_chain([waits], plan())
    assert created
    assert ledger.prune() == 1

    again, created_again = ledger.sql.record_chain([waits], plan())

    assert not created_again
    assert [each.id for each in again] == [first.id]
    with pytest.raises(JobNotFoundError):
        ledger.sql.record_chain([replace(waits, id="chain-1")], plan())


def test_a_job_with_a_key_goes_no_sooner_than_every_dispatch_can_see_that(ledger: Ledger) -> None:
    careful = SqlPruner(ledger.database, host_clock=HostClock(ledger.clock))
    ledger.succeeded(KEYED)
    ledger.succeeded(new_job())

    at_once = 2 if ledger.database.is_sqlite else 1
    assert ledger.prune(careful) == at_once
    assert ledger.again(KEYED)[0].id == KEYED.id

    ledger.clock.advance(SETTLES + timedelta(minutes=1))
    assert ledger.prune(careful) == 2 - at_once
    assert ledger.again(KEYED)[0].is_pruned


def test_what_did_a_dead_letters_work_again_stays_as_long_as_that(ledger: Ledger) -> None:
    dead = offered(ledger.sql)
    ledger.sql.conclude(claimed(ledger.sql, dead), FAILURE)
    again, _ = ledger.sql.retry(ManualRetry(dead.id, "a person"))
    moved = ledger.sql.offer(again, plan())
    assert moved is not None
    ledger.sql.conclude(claimed(ledger.sql, moved), SUCCESS)

    assert ledger.prune() == 0
    assert ledger.sql.retry(ManualRetry(dead.id, "a person"))[0].id == again.id

    ledger.pruner.prune("send_welcome", JobState.FAILED, NOTHING_KEPT, 10)
    assert ledger.prune() == 1


def test_a_child_stays_until_its_parent_has_ended(ledger: Ledger) -> None:
    parent = waiting(ledger.sql)
    child = ledger.succeeded(new_job())
    adopt = jobs.update().where(jobs.c.id == child.id).values(parent_id=parent.id)
    ledger.database.write(lambda c: c.execute(adopt))

    assert ledger.prune() == 0

    ledger.sql.cancel(parent.id, "a person")
    assert ledger.prune() == 1


def test_dispatches_beside_pruning_make_one_job(ledger: Ledger) -> None:
    """With a pruner of its own connection, and dispatches that go on throughout."""
    job = ledger.succeeded(KEYED)
    url = ledger.database.url.render_as_string(hide_password=False)
    over = threading.Event()

    def dispatch() -> set[tuple[str, bool]]:
        found = set()
        with closing(Database(url)) as database:
            sql = SqlLedger(database)
            while not over.is_set() or not found:
                record, created = sql.record_job(replace(KEYED, id=new_job().id), plan())
                found.add((record.id, created))
        return found

    with ThreadPoolExecutor(2) as threads:
        dispatching = [threads.submit(dispatch) for _ in range(2)]
        try:
            assert ledger.prune() == 1
        finally:
            over.set()
        found = set().union(*(each.result(60) for each in dispatching))

    assert found == {(job.id, False)}


def test_a_key_that_was_given_twice_is_a_violation(ledger: Ledger) -> None:
    ledger.succeeded(KEYED)
    ledger.prune()
    twice = replace(KEYED, id="second", key_for=None)
    assert ledger.sql.record_job(twice, plan())[1], "as code of before would"

    assert ledger.violations() == ["I10"]

    ledger.database.write(lambda c: c.execute(keys.delete()))


def test_a_dispatch_that_began_before_is_what_settling_is_for(
    postgres: Postgres, make_ledger: Callable[[str], Ledger]
) -> None:
    """A snapshot of before sees no key; the row must still be there to stand in its way."""
    ledger = make_ledger(postgres.create_database("settling"))
    job, careful = (
        ledger.succeeded(KEYED),
        SqlPruner(ledger.database, host_clock=HostClock(ledger.clock)),
    )

    repeatable = ledger.database.engine.execution_options(isolation_level="REPEATABLE READ")
    with repeatable.connect() as connection:
        connection.execute(text("SELECT count(*) FROM failsoft_keys"))
        assert ledger.prune(careful) == 0
        found, created = _recorded(connection)
        connection.rollback()

    assert (found.id, created) == (job.id, False)


def _recorded(connection: Connection) -> tuple[JobRecord, bool]:
    return record(connection, replace(KEYED, id="late"), plan(), "tests")


@pytest.fixture
def make_ledger() -> Iterator[Callable[[str], Ledger]]:
    made: list[Ledger] = []

    def make(url: str) -> Ledger:
        made.append(Ledger(url))
        return made[-1]

    yield make
    for each in made:
        each.database.close()
