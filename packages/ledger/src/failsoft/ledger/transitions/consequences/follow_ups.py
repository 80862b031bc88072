"""Carrying out what the end of a job sets off, in the transaction that ends it.

Rows are locked in one order: the job that ended, its group, the job that waited.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from failsoft.job_engine.records.follow_ups import (
    NextJob,
    OnFailureJob,
    failure_job,
    follow_ups_from,
    with_waiting,
)
from failsoft.job_engine.records.groups import GroupRecord, is_member, with_field
from failsoft.job_engine.records.states import CANCEL, JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import by_itself, jobs
from failsoft.ledger.schema.tables import groups
from failsoft.ledger.transitions import insert
from failsoft.ledger.transitions.compare_and_set import Cause, Change, compare_and_set

#: The actor of the events.
ACTOR = "follow-up"


def trigger(connection: Connection, ended: AnyRow) -> Sequence[AnyRow]:
    """Carry out the follow-ups of a job that has just ended; return the jobs it ended in turn."""
    follow_ups = follow_ups_from(ended.follow_ups)
    if follow_ups.on_failure is not None and ended.state == JobState.FAILED:
        _dispatch_hook(connection, ended.id, follow_ups.on_failure)
    also: list[AnyRow] = []
    if follow_ups.then is not None:
        also += _go_on(connection, ended, follow_ups.then)
    for job_id in follow_ups.waiting:
        also += _go_on(connection, ended, NextJob(job_id))
    if follow_ups.group is not None and is_member(ended.id, follow_ups.group):
        counted = _count_in_group(connection, follow_ups.group, JobState(ended.state))
        also += complete(connection, counted) if counted.is_over else ()
    return also


def wait_for(connection: Connection, before: AnyRow, job_id: str) -> Sequence[AnyRow]:
    """Let a job wait for the end of one whose row is locked; return what was ended.

    Args:
        connection: The transaction.
        before: The columns `id`, `state` and `follow_ups` of that row.
        job_id: The job that waits, recorded with `waits_for`.

    Raises:
        OptionInvalidError: Too many wait for it.
    """
    if JobState(before.state).is_terminal:
        return _go_on(connection, before, NextJob(job_id))
    values = {"follow_ups": with_waiting(before.follow_ups, job_id)}
    connection.execute(update(jobs).where(jobs.c.id == before.id).values(values))
    return ()


def complete(connection: Connection, group: GroupRecord) -> Sequence[AnyRow]:
    """Start the completion job of a group that is over, or cancel it; return what was ended."""
    if group.completion_id is None:
        return ()
    if not group.may_complete:
        return _cancel(connection, group.completion_id, group.id, group.shortfall)
    waiting = NextJob(group.completion_id, group.completion_field)
    _start(connection, waiting, group.id, group.result.model_dump_json())
    return ()


def _dispatch_hook(connection: Connection, job_id: str, hook: OnFailureJob) -> None:
    row = connection.execute(select(*jobs.c).where(jobs.c.id == job_id)).one()
    insert.insert_job(connection, failure_job(hook, rows.job_record(row)), None, ACTOR)


def _go_on(connection: Connection, ended: AnyRow, then: NextJob) -> Sequence[AnyRow]:
    if ended.state != JobState.SUCCEEDED:
        reason = f"job {ended.id}, which it waited for, {_end(ended.state)}"
        return _cancel(connection, then.job_id, ended.id, reason)
    result = None
    if then.field is not None:
        found = select(jobs.c.result).where(jobs.c.id == ended.id)
        result = connection.execute(found).scalar_one()
    _start(connection, then, ended.id, result)
    return ()


def _end(state: str) -> str:
    return "failed" if state == JobState.FAILED else "was cancelled"


def _count_in_group(connection: Connection, group_id: str, state: JobState) -> GroupRecord:
    # Of two that end at the same moment the second waits here, and sees the count of the first.
    column = groups.c[state]
    statement = update(groups).where(groups.c.id == group_id).values({column: column + 1})
    return rows.group_record(connection.execute(statement.returning(*groups.c)).one())


def _start(connection: Connection, waiting: NextJob, waited_for: str, value: str | None) -> None:
    """Make a job due that waits for this; one that was cancelled meanwhile is left alone."""
    waits = (
        jobs.c.id == waiting.job_id,
        by_itself(jobs.c.state) == JobState.SCHEDULED,
        jobs.c.waits_for == waited_for,
    )
    payload = connection.execute(select(jobs.c.payload).where(*waits)).scalar_one_or_none()
    if payload is None:
        return
    if waiting.field is not None:
        payload = with_field(payload, waiting.field, value)
    values = {"run_at": now_us(), "waits_for": None, "payload": payload}
    connection.execute(update(jobs).where(*waits).values(values))


def _cancel(connection: Connection, job_id: str, waited_for: str, reason: str) -> Sequence[AnyRow]:
    cause = Cause(ACTOR, {"reason": reason})
    row = compare_and_set(connection, CANCEL, Change(job_id, {"waits_for": waited_for}, {}, cause))
    return () if row is None else (row,)
