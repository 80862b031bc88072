"""Jobs that other jobs invoke: recorded with their parent's suspension, cancelled with it.

Rows are locked in one order: a job before the one that awaits it, as its end does that wakes it.
"""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from failsoft.job_engine.records.job import Claim, StepKind
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import CANCEL
from failsoft.ledger.database.compiled import AnyRow, execute
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import steps
from failsoft.ledger.transitions import insert
from failsoft.ledger.transitions.compare_and_set import (
    Cause,
    Change,
    compare_and_set,
    request_cancel,
)

#: The actor of the events.
ACTOR = "parent"

_ADOPT = (
    update(jobs)
    .where(jobs.c.id == bindparam("at_child"))
    .values(parent_id=bindparam("to_parent"), depth=bindparam("to_depth"))
)
_WAITS = select(steps.c.result).where(
    steps.c.job_id == bindparam("job"), steps.c.kind == StepKind.WAIT.value
)
_KNOWN = select(jobs.c.id).where(jobs.c.id == bindparam("job"))
_LOCK = _KNOWN.with_for_update()


def adopt(connection: Connection, claim: Claim, child: NewJob) -> str | None:
    """Record a job that is invoked, once; return the job that holds its key, if one does."""
    if connection.execute(_KNOWN, {"job": child.id}).one_or_none() is not None:
        # By an attempt before. To insert it again would wait for the transaction that ends
        # it, which waits for the topic that is locked here: a deadlock.
        return None
    record, created = insert.record(connection, child, None, claim.worker)
    if created:
        given = {"at_child": child.id, "to_parent": claim.job_id, "to_depth": claim.depth + 1}
        connection.execute(_ADOPT, given)
    return None if record.id == child.id else record.id


def lock_awaited(connection: Connection, job_id: str) -> None:
    """Lock the job that a job awaits, after the one that it awaits in turn."""
    child = _awaited(connection, job_id)
    if child is not None:
        lock_awaited(connection, child)
        connection.execute(_LOCK, {"job": child})


def cancel_awaited(connection: Connection, job_id: str) -> Sequence[AnyRow]:
    """Cancel the job that a cancelled job awaits, or ask it to stop; return what was ended."""
    child = _awaited(connection, job_id)
    if child is None:
        return ()
    connection.execute(_LOCK, {"job": child})
    cause = Cause(ACTOR, {"reason": f"job {job_id}, which invoked it, was cancelled"})
    row = compare_and_set(connection, CANCEL, Change(child, {}, {}, cause))
    if row is None:
        request_cancel(connection, child, cause)
    return () if row is None else (row,)


def _awaited(connection: Connection, job_id: str) -> str | None:
    found = execute(connection, _WAITS, {"job": job_id}).rows
    children = (json.loads(row.result).get("job") for row in found)
    return next((child for child in children if child is not None), None)
