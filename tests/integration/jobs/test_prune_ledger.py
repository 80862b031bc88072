import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.jobs.scheduled.prune_ledger import (
    PruneLedger,
    Pruning,
    prune_ledger,
)
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    Claim,
    Conclusion,
    DispatchTry,
    StepKind,
    StepRecord,
    Ticket,
    TryOutcome,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import FAIL, SUCCEED, TERMINAL, JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import aggregates, attempts, dispatch_attempts, events, steps
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import MAX_JOBS, SqlPruner
from failsoft.ledger.verify import verify
from tests.servers.postgresql.database_clock import DatabaseClock
from tests.servers.postgresql.postgres import Postgres
from tests.unit.job_engine.jobs.fakes import Job

DAY = Retention(age=timedelta(days=1))
NEWEST_TWO = Retention(age=timedelta(days=1), count=2)
HOUR = timedelta(hours=1)


class Ledger:
    """A ledger with jobs of a chosen age."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        upgrade(self.database)
        self.sql = SqlLedger(self.database)
        self.pruner = SqlPruner(self.database)

    def add(self, job_id: str, state: JobState, *, name: str = "job", age: timedelta) -> None:
        """Let a job live up to a state, and have ended so long ago."""
        plan = OfferPlan("memory", timedelta(minutes=1))
        self.sql.record_job(NewJob(job_id, name, "default", "{}", "sha"), plan)
        self.sql.note_tries([(job_id, DispatchTry("memory", 1, "offer", TryOutcome.ACCEPTED))])
        if state is JobState.CANCELLED:
            self.sql.cancel(job_id, "test")
        elif state is not JobState.OFFERED:
            self._run(job_id, state)
        if state.is_terminal:
            self._age(job_id, age)

    def _run(self, job_id: str, state: JobState) -> None:
        ticket = Ticket(job_id, 1, "memory", "default", f"claim-{job_id}", "worker", HOUR)
        claim = self.sql.claim(ticket)
        assert isinstance(claim, Claim)
        self.sql.record(claim, StepRecord("step", 0, StepKind.RUN, "1", epoch=1))
        if state is JobState.SUCCEEDED:
            self.sql.conclude(claim, Conclusion(SUCCEED, result="1"))
        elif state is JobState.FAILED:
            self.sql.conclude(claim, Conclusion(FAIL, error=ErrorRecord("E", "broke")))

    def _age(self, job_id: str, age: timedelta) -> None:
        moment = now_us() - microseconds(age)
        statement = update(jobs).where(jobs.c.id == job_id).values(finished_at=moment)
        self.database.write(lambda connection: connection.execute(statement))

    def add_many(self, count: int, *, age: timedelta) -> None:
        rows = [
            {
                "id": f"many-{n}",
                "name": "job",
                "queue": "default",
                "state": JobState.SUCCEEDED,
                "payload": "{}",
                "payload_sha": "sha",
                "created_at": instant(0),
                "finished_at": instant(0) + timedelta(seconds=n) - age,
            }
            for n in range(count)
        ]
        self.database.write(lambda connection: connection.execute(jobs.insert(), rows))

    def ids(self) -> set[str]:
        return set(self.database.read(lambda c: c.execute(select(jobs.c.id)).scalars().all()))

    def number(self, statement: Any) -> int:
        return int(self.database.read(lambda c: c.execute(statement).scalar_one()))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    found = Ledger(ledger_url)
    yield found
    found.database.close()


def test_only_jobs_that_ended_long_enough_ago_are_deleted(ledger: Ledger) -> None:
    for hours in (1, 23, 25, 100):
        ledger.add(f"job-{hours}", JobState.SUCCEEDED, age=hours * HOUR)

    assert ledger.pruner.count("job", JobState.SUCCEEDED, DAY) == 2
    assert ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 10) == 2

    assert ledger.ids() == {"job-1", "job-23"}
    assert ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 10) == 0


def test_of_young_jobs_only_the_newest_are_kept(ledger: Ledger) -> None:
    for hours in (1, 2, 3, 4, 5):
        ledger.add(f"job-{hours}", JobState.SUCCEEDED, age=hours * HOUR)

    assert ledger.pruner.count("job", JobState.SUCCEEDED, NEWEST_TWO) == 3
    assert ledger.pruner.prune("job", JobState.SUCCEEDED, NEWEST_TWO, 10) == 3

    assert ledger.ids() == {"job-1", "job-2"}
    assert ledger.pruner.count("job", JobState.SUCCEEDED, NEWEST_TWO) == 0


def test_of_jobs_that_ended_at_the_same_moment_as_many_are_kept(ledger: Ledger) -> None:
    ledger.add_many(1, age=-HOUR)
    for n in range(4):
        ledger.add(f"job-{n}", JobState.FAILED, age=HOUR)
    moment = update(jobs).values(finished_at=instant(10**15))
    ledger.database.write(lambda connection: connection.execute(moment))
    newest = Retention(age=timedelta(days=36_500), count=2)

    assert ledger.pruner.prune("job", JobState.FAILED, newest, 10) == 2

    assert ledger.ids() == {"many-0", "job-2", "job-3"}


def test_being_among_the_newest_does_not_keep_a_job_that_is_too_old(ledger: Ledger) -> None:
    ledger.add("job-1", JobState.SUCCEEDED, age=30 * HOUR)

    assert ledger.pruner.prune("job", JobState.SUCCEEDED, NEWEST_TWO, 10) == 1


def test_the_oldest_go_first(ledger: Ledger) -> None:
    for hours in (30, 50, 40):
        ledger.add(f"job-{hours}", JobState.FAILED, age=hours * HOUR)

    assert ledger.pruner.prune("job", JobState.FAILED, DAY, 2) == 2

    assert ledger.ids() == {"job-30"}


def test_other_states_and_other_definitions_are_not_touched(ledger: Ledger) -> None:
    for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        ledger.add(f"job-{state}", state, age=100 * HOUR)
    ledger.add("other", JobState.SUCCEEDED, name="other", age=100 * HOUR)

    ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 10)

    assert ledger.ids() == {"job-failed", "job-cancelled", "other"}
    assert sorted(ledger.pruner.ended_names()) == ["job", "other"]


@pytest.mark.parametrize("state", sorted(set(JobState) - TERMINAL))
def test_a_state_that_is_not_terminal_is_never_pruned(ledger: Ledger, state: JobState) -> None:
    with pytest.raises(ValueError, match="terminal"):
        ledger.pruner.prune("job", state, DAY, 10)

    with pytest.raises(ValueError, match="terminal"):
        ledger.pruner.count("job", state, DAY)


def test_jobs_that_wait_or_run_stay_however_old(ledger: Ledger) -> None:
    ledger.add("waits", JobState.OFFERED, age=HOUR)
    ledger.add("runs", JobState.RUNNING, age=HOUR)
    ledger.database.write(lambda c: c.execute(update(jobs).values(created_at=instant(0))))

    for state in TERMINAL:
        assert ledger.pruner.prune("job", state, Retention(age=timedelta(0), count=0), 10) == 0

    assert ledger.ids() == {"waits", "runs"}
    assert ledger.pruner.ended_names() == []


def test_what_hangs_on_a_job_goes_with_it_and_the_counters_stay(ledger: Ledger) -> None:
    ledger.add("old", JobState.SUCCEEDED, age=30 * HOUR)
    ledger.add("young", JobState.SUCCEEDED, age=HOUR)
    ledger.database.write(lambda c: c.execute(events.insert(), [later("old"), later("young")]))
    children = (steps, attempts, events, dispatch_attempts)
    counted = ledger.number(select(func.sum(aggregates.c.count)))
    for table in children:
        owners = select(func.count(table.c.job_id.distinct()))
        assert ledger.number(owners) == 2, table.name

    ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 10)

    for table in children:
        orphans = select(func.count()).select_from(table).where(table.c.job_id == "old")
        kept = select(func.count()).select_from(table).where(table.c.job_id == "young")
        assert (ledger.number(orphans), ledger.number(kept) > 0) == (0, True), table.name
    assert ledger.number(select(func.sum(aggregates.c.count))) == counted == 2


def later(job_id: str) -> dict[str, Any]:
    """Return an event that stands in no job's row."""
    event = {"n": 9, "at": instant(0), "actor": "test", "kind": "wake", "state": "succeeded"}
    return {**event, "job_id": job_id, "epoch": 1}


def test_what_is_deleted_is_counted_no_more(ledger: Ledger) -> None:
    for n in range(3):
        ledger.add(f"old-{n}", JobState.SUCCEEDED, age=30 * HOUR)
        ledger.add(f"dead-{n}", JobState.FAILED, age=30 * HOUR)
    ledger.add("young", JobState.SUCCEEDED, age=HOUR)

    ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 2)
    ledger.pruner.prune("job", JobState.FAILED, DAY, 10)

    assert ledger.sql.counts() == {JobState.SUCCEEDED: 2}
    assert [each.violations for each in verify(ledger.database) if each.violations] == []


def test_one_transaction_deletes_no_more_than_its_limit(ledger: Ledger) -> None:
    ledger.add_many(MAX_JOBS + 10, age=HOUR)

    sizes = list(iter(lambda: ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 10**6), 0))

    assert max(sizes) <= MAX_JOBS
    assert sum(sizes) == MAX_JOBS + 10


def test_those_that_must_stay_hide_none_that_may_go(ledger: Ledger) -> None:
    """However many of the oldest stay, and whatever lets one of them go in the end."""
    ledger.add("parent", JobState.RUNNING, age=HOUR)
    ledger.add_many(30, age=HOUR)
    first = jobs.c.id.in_([f"many-{n}" for n in range(25)])
    ledger.database.write(lambda c: c.execute(update(jobs).where(first).values(parent_id="parent")))

    prune = lambda: ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 2)  # noqa: E731 - below

    assert sum(iter(prune, 0)) == 5
    assert ledger.ids() == {"parent", *(f"many-{n}" for n in range(25))}

    ledger.database.write(lambda c: c.execute(jobs.update().where(first).values(parent_id=None)))
    assert sum(iter(prune, 0)) == 25


def test_two_pruners_at_once_delete_no_more_than_one_would(ledger: Ledger) -> None:
    ledger.add_many(1000, age=HOUR)
    keep = Retention(age=timedelta(days=36_500), count=400)
    start = threading.Barrier(4)

    def prune() -> None:
        start.wait()
        for _ in range(20):
            ledger.pruner.prune("job", JobState.SUCCEEDED, keep, 50)

    threads = [threading.Thread(target=prune) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.ids() == {f"many-{n}" for n in range(600, 1000)}


def test_the_job_prunes_what_its_own_retention_allows(ledger: Ledger) -> None:
    ledger.add("old", JobState.SUCCEEDED, name="prune_ledger", age=200 * HOUR)
    ledger.add("dead", JobState.FAILED, name="prune_ledger", age=30 * HOUR)
    ledger.add("strange", JobState.FAILED, name="strange", age=9999 * HOUR)
    catalogue = Catalogue([prune_ledger])

    report = Job().attempt(PruneLedger(ledger.pruner, lambda: catalogue), Pruning())

    assert ledger.ids() == {"dead", "strange"}
    assert (report.succeeded, report.failed) == ({"prune_ledger": 1}, {})
    assert report.unknown == ("strange",)


def test_a_database_that_is_away_is_said_to_be(postgres: Postgres, postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    postgres.stop()

    with pytest.raises(LedgerUnavailableError):
        ledger.pruner.prune("job", JobState.SUCCEEDED, DAY, 10)

    ledger.database.close()


@pytest.mark.fault("F46")
@pytest.mark.parametrize("span", [timedelta(days=8), timedelta(days=-8)], ids=["ahead", "back"])
def test_nothing_is_pruned_by_a_clock_that_this_host_does_not_bear_out(
    ledger: Ledger, span: timedelta
) -> None:
    ledger.add("young", JobState.FAILED, age=timedelta(0))
    clock = DatabaseClock(ledger.database)
    clock.advance(span)

    with pytest.raises(LedgerUnavailableError, match="nothing is pruned"):
        ledger.pruner.count("job", JobState.FAILED, DAY)
    with pytest.raises(LedgerUnavailableError, match="nothing is pruned"):
        ledger.pruner.prune("job", JobState.FAILED, DAY, 10)

    clock.reset()
    assert ledger.pruner.count("job", JobState.FAILED, DAY) == 0
    assert ledger.sql.get("young").state is JobState.FAILED
