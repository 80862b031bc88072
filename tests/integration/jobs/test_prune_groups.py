"""A group stays until the last of its jobs is pruned, and goes then."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from pydantic import BaseModel
from sqlalchemy import delete, update

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.errors import GroupNotFoundError
from failsoft.job_engine.jobs.scheduled.prune_ledger import PruneLedger, Pruning
from failsoft.job_engine.policies.retention import IDEMPOTENCY_FOR, Retention
from failsoft.job_engine.records.groups import GroupRecord, member_id
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import MAX_JOBS, SqlPruner
from failsoft.testing.ledger_suite.flow.chains import group, members, run
from tests.unit.job_engine.jobs.fakes import Job

AT_ONCE = Retention(age=timedelta(microseconds=1))


class Nothing(BaseModel):
    pass


class Ledger:
    def __init__(self, database: Database) -> None:
        upgrade(database)
        self.database = database
        self.sql = SqlLedger(database)
        self.pruner = SqlPruner(database)

    def over(self, count: int = 2) -> GroupRecord:
        """Let a group live until its completion job has ended."""
        made = group(self.sql, count)
        for place in range(count):
            run(self.sql, member_id(made.id, place))
        run(self.sql, str(made.completion_id))
        self.let_ids_go(made)
        return made

    def let_ids_go(self, made: GroupRecord) -> None:
        """Let so much time pass that the ids of a group's jobs need be remembered no longer."""
        moment = now_us() - microseconds(IDEMPOTENCY_FOR + timedelta(seconds=1))
        old = update(groups).where(groups.c.id == made.id).values(created_at=moment)
        self.database.write(lambda connection: connection.execute(old))

    def forget(self, *job_ids: str) -> None:
        gone = delete(jobs).where(jobs.c.id.in_(job_ids))
        self.database.write(lambda connection: connection.execute(gone))

    def has(self, made: GroupRecord) -> bool:
        try:
            return self.sql.group(made.id).id == made.id
        except GroupNotFoundError:
            return False


def _count_all_as_ended(ledger: Ledger, group_id: str, total: int) -> None:
    ended = update(groups).where(groups.c.id == group_id).values(succeeded=total)
    ledger.database.write(lambda connection: connection.execute(ended))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Database(ledger_url)) as database:
        yield Ledger(database)


def test_a_group_goes_with_the_last_of_its_jobs(ledger: Ledger) -> None:
    made = ledger.over(3)
    own = [member_id(made.id, place) for place in (0, 2, 1)]

    deleted = []
    for job_id in (*own, str(made.completion_id)):
        deleted.append(ledger.pruner.prune_groups(10))
        ledger.forget(job_id)

    assert (deleted, ledger.has(made)) == ([0, 0, 0, 0], True)
    assert ledger.pruner.prune_groups(10) == 1
    assert not ledger.has(made)


def test_a_large_group_stays_while_any_of_its_jobs_does(ledger: Ledger) -> None:
    made = ledger.over(2)
    total, middle = MAX_JOBS * 2 + 1, MAX_JOBS + 7
    large = GroupRecord("large", "sha", "all_ended", sealed=True, total=total)
    ledger.sql.record_group(large, None, members("large", total))
    ledger.forget(*(job.id for job in members("large", total)[:middle]))
    ledger.forget(*(job.id for job in members("large", total)[middle + 1 :]))
    run(ledger.sql, member_id("large", middle))

    _count_all_as_ended(ledger, "large", total)
    ledger.let_ids_go(large)

    assert (ledger.pruner.prune_groups(10), ledger.has(made)) == (0, True)
    ledger.forget(member_id("large", middle))
    assert ledger.pruner.prune_groups(10) == 1
    assert not ledger.has(large)


def test_a_group_that_is_not_over_stays(ledger: Ledger) -> None:
    unsealed, running = group(ledger.sql, 2, sealed=False), group(ledger.sql, 2)
    for made in (unsealed, running):
        run(ledger.sql, member_id(made.id, 0))
        ledger.forget(member_id(made.id, 0), member_id(made.id, 1), str(made.completion_id))

    assert ledger.pruner.prune_groups(10) == 0
    assert ledger.has(unsealed)
    assert ledger.has(running)


def test_no_more_are_deleted_than_requested(ledger: Ledger) -> None:
    made = [ledger.over() for _ in range(3)]
    for each in made:
        ledger.forget(*(job.id for job in members(each.id, 2)), str(each.completion_id))

    assert [ledger.pruner.prune_groups(2) for _ in range(3)] == [2, 1, 0]


def test_the_job_that_ships_prunes_groups_after_their_jobs(ledger: Ledger) -> None:
    made = ledger.over()
    known = Catalogue(
        declare_job(name, payload=Nothing, keep_succeeded=AT_ONCE)
        for name in ("send_welcome", "done")
    )

    report = Job().attempt(PruneLedger(ledger.pruner, lambda: known), Pruning())

    assert (report.succeeded, report.groups) == ({"send_welcome": 2, "done": 1}, 1)
    assert not ledger.has(made)
