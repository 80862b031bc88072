"""Keys that are remembered longer than their jobs (decision 0028).

While a job is there, its own row and the index on its key say what its key stands for. Before it
is pruned, its key is put into a narrow table, and a dispatch looks there as well, in the statement
that would insert the job. What is in that table is written once, by pruning, so that no dispatch
pays for more than one look into an index.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    type_coerce,
)

from failsoft.job_engine.policies.retention import IDEMPOTENCY_FOR
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import keys

#: The scope of job ids; no job has such a name.
OF_IDS = ""

_SCOPE = case((jobs.c.idempotency_key.is_(None), OF_IDS), else_=jobs.c.name)
_KEY = func.coalesce(jobs.c.idempotency_key, jobs.c.id)
_OF_JOB = and_(keys.c.scope == _SCOPE, keys.c.key == _KEY, keys.c.job_id == jobs.c.id)
# A key that was recorded without a time is remembered for the usual one.
_LIVES_UNTIL = case(
    (jobs.c.key_until.is_not(None), jobs.c.key_until),
    (jobs.c.idempotency_key.is_not(None), jobs.c.created_at + microseconds(IDEMPOTENCY_FOR)),
)
#: Whether a job has a key that must outlive it.
HAS_LIVE_KEY: ColumnElement[bool] = func.coalesce(_LIVES_UNTIL, 0) > now_us()
#: Since when its key is in the table; NULL where it is not. A value and no EXISTS, of which
#: PostgreSQL may make a join with all keys.
REMEMBERED_AT: ColumnElement[int] = (
    select(type_coerce(keys.c.remembered_at, BigInteger)).where(_OF_JOB).scalar_subquery()
)
#: Whether a dispatch would use a key whose job is gone; of the statement that inserts jobs.
IS_TAKEN: ColumnElement[bool] = (
    select(keys.c.key)
    .where(
        keys.c.scope == bindparam("key_scope", type_=keys.c.scope.type),
        keys.c.key == bindparam("key", type_=keys.c.key.type),
        keys.c.expires_at > now_us(),
    )
    .exists()
)

_FIND = select(*keys.c).where(
    keys.c.scope == bindparam("key_scope"),
    keys.c.key == bindparam("key"),
    keys.c.expires_at > now_us(),
)
_COPIED = {
    "scope": _SCOPE,
    "key": _KEY,
    "job_id": jobs.c.id,
    "name": jobs.c.name,
    "queue": jobs.c.queue,
    "payload_sha": jobs.c.payload_sha,
    "state": jobs.c.state,
    "created_at": jobs.c.created_at,
    "finished_at": jobs.c.finished_at,
    "expires_at": _LIVES_UNTIL,
    "remembered_at": now_us(),
}
_EXPIRED = (
    select(keys.c.scope, keys.c.key)
    .where(keys.c.expires_at <= now_us())
    .order_by(keys.c.expires_at)
    .limit(bindparam("limit"))
)


def key_of(job: NewJob) -> dict[str, str]:
    """Return under what a job would be remembered: its key or, without one, its id."""
    if job.idempotency_key is None:
        return {"key_scope": OF_IDS, "key": job.id}
    return {"key_scope": job.name, "key": job.idempotency_key}


def find(connection: Connection, job: NewJob) -> JobRecord | None:
    """Find the pruned job that a dispatch means by its key or its id."""
    row = connection.execute(_FIND, key_of(job)).one_or_none()
    return None if row is None else _record(row)


def find_id(connection: Connection, job_id: str) -> JobRecord | None:
    """Find a pruned job by the id that its dispatch gave it."""
    given = {"key_scope": OF_IDS, "key": job_id}
    row = connection.execute(_FIND, given).one_or_none()
    return None if row is None else _record(row)


def is_unremembered() -> ColumnElement[bool]:
    """Say whether a job has a key that must outlive it and is not in the table yet."""
    return and_(HAS_LIVE_KEY, REMEMBERED_AT.is_(None))


def has_settled(span: timedelta) -> ColumnElement[bool]:
    """Say whether a job's key has been in the table for so long that every dispatch sees it."""
    return or_(~HAS_LIVE_KEY, func.coalesce(now_us() - microseconds(span) >= REMEMBERED_AT, False))


def remember(connection: Connection, ids: Sequence[str]) -> int:
    """Put the keys of some ended jobs into the table, if they are to be there still.

    Returns:
        How many of them were not there.
    """
    wanted = and_(jobs.c.finished_at.is_not(None), is_unremembered())
    copied = select(*_COPIED.values()).where(jobs.c.id.in_(ids), wanted)
    insert = insert_into(connection.dialect.name, keys).from_select(list(_COPIED), copied)
    # A key whose time was over may stand for another job since.
    renewed = {name: insert.excluded[name] for name in _COPIED if name not in ("scope", "key")}
    renewal = insert.on_conflict_do_update(index_elements=["scope", "key"], set_=renewed)
    return connection.execute(renewal).rowcount


def forget(connection: Connection, limit: int) -> int:
    """Delete at most `limit` keys whose time is over; return how many those were."""
    deleted = 0
    for row in connection.execute(_EXPIRED, {"limit": limit}).all():
        mine = and_(keys.c.scope == row.scope, keys.c.key == row.key)
        one = delete(keys).where(mine, keys.c.expires_at <= now_us())
        deleted += connection.execute(one).rowcount
    return deleted


def _record(row: AnyRow) -> JobRecord:
    return JobRecord(
        id=row.job_id,
        name=row.name,
        queue=row.queue,
        state=JobState(row.state),
        engine=None,
        epoch=0,
        payload="",
        payload_sha=row.payload_sha,
        created_at=row.created_at,
        idempotency_key=None if row.scope == OF_IDS else row.key,
        finished_at=row.finished_at,
        is_pruned=True,
    )
