"""Everything that the ledger keeps of one job, as of one moment."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.ports.console import JobSummary, Relations, Story
from failsoft.job_engine.records.follow_ups import FollowUps, failure_id, follow_ups_from
from failsoft.job_engine.records.groups import GroupRecord, is_member
from failsoft.ledger.database.compiled import AnyRow, AnySelect
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.roles.console.jobs import SUMMARY, summary
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, dispatch_attempts, events, groups, steps

_JOB = select(*jobs.c).where(jobs.c.id == bindparam("job"))


def _of_job(table: Table, order: str) -> AnySelect:
    found = select(*table.c).where(table.c.job_id == bindparam("job"))
    return found.order_by(table.c[order])


_TRIES = _of_job(dispatch_attempts, "id")
_ATTEMPTS = _of_job(attempts, "epoch")
_STEPS = _of_job(steps, "seq")
_EVENTS = _of_job(events, "n")
_GROUP = select(*groups.c).where(groups.c.id == bindparam("group"))
# Sorted after they were found: no index of another order is gone through for them.
_RECORDED = (jobs.c.created_at + 0, jobs.c.id)
_ONE = select(*SUMMARY).where(jobs.c.id == bindparam("job"))
_AGAIN = select(*SUMMARY).where(jobs.c.retry_of == bindparam("job")).order_by(*_RECORDED)
_CHILDREN = select(*SUMMARY).where(jobs.c.parent_id == bindparam("job")).order_by(*_RECORDED)


class SqlJobStories(SqlRole):
    """`JobStories` on SQL."""

    def story(self, job_id: str) -> Story:
        """Return everything that the ledger keeps of a job, read in one transaction."""

        def work(connection: Connection) -> Story | None:
            row = connection.execute(_JOB, {"job": job_id}).one_or_none()
            return None if row is None else _story(connection, row)

        found = self._database.snapshot(work)
        if found is None:
            raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
        return found

    def relatives(self, job_id: str) -> Relations:
        """Return the jobs that a job belongs with."""

        def work(connection: Connection) -> Relations:
            row = connection.execute(_JOB, {"job": job_id}).one_or_none()
            return Relations() if row is None else _relations(connection, row)

        return self._database.snapshot(work)


def _story(connection: Connection, row: AnyRow) -> Story:
    def all_of(statement: AnySelect) -> Sequence[AnyRow]:
        return connection.execute(statement, {"job": row.id}).all()

    return Story(
        rows.job_record(row),
        [rows.dispatch_try(each) for each in all_of(_TRIES)],
        [rows.attempt_record(each) for each in all_of(_ATTEMPTS)],
        [rows.step_record(each) for each in all_of(_STEPS)],
        rows.history(row, all_of(_EVENTS)),
        _relations(connection, row),
    )


def _relations(connection: Connection, row: AnyRow) -> Relations:
    follow_ups = FollowUps() if row.follow_ups is None else follow_ups_from(row.follow_ups)

    def one(job_id: str | None) -> JobSummary | None:
        if job_id is None:
            return None
        found = connection.execute(_ONE, {"job": job_id}).one_or_none()
        return None if found is None else summary(found)

    def several(statement: AnySelect) -> Sequence[JobSummary]:
        return [summary(each) for each in connection.execute(statement, {"job": row.id})]

    return Relations(
        origin=one(row.retry_of),
        again=several(_AGAIN),
        parent=one(row.parent_id),
        children=several(_CHILDREN),
        before=one(_before(connection, row)),
        then=one(follow_ups.then.job_id if follow_ups.then else None),
        hook=one(failure_id(row.id) if follow_ups.on_failure else None),
        group=_group(connection, row, follow_ups),
    )


def _before(connection: Connection, row: AnyRow) -> str | None:
    """Return the job of a chain whose success starts this one.

    Once it has, nothing of this row names the other; jobs of a chain have ids with their places.
    """
    if row.waits_for is not None:
        return str(row.waits_for)
    chain, _, place = str(row.id).rpartition("-")
    if not place.isdigit() or int(place) == 0:
        return None
    before = f"{chain}-{int(place) - 1}"
    found = connection.execute(_JOB, {"job": before}).one_or_none()
    if found is None or found.follow_ups is None:
        return None
    then = follow_ups_from(found.follow_ups).then
    return before if then is not None and then.job_id == row.id else None


def _group(connection: Connection, row: AnyRow, follow_ups: FollowUps) -> GroupRecord | None:
    own = follow_ups.group if is_member(row.id, follow_ups.group or "") else None
    completed = str(row.id).removesuffix("-completion")
    names: tuple[Any, ...] = (own, row.waits_for, completed if completed != row.id else None)
    for name in names:
        found = name and connection.execute(_GROUP, {"group": name}).one_or_none()
        if found:
            return rows.group_record(found)
    return None
