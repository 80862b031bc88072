"""Recording jobs, each once: by its id, its idempotency key and its unique key (I10)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select, text, update

from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope
from failsoft.job_engine.ports.clock import DISPATCH, spans_of_dispatch
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyConnection, AnyRow, execute
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.timestamps import microseconds, now_us, stored
from failsoft.ledger.schema import packed_events, rows
from failsoft.ledger.schema.jobs import UNIQUE_HELD, jobs
from failsoft.ledger.transitions import postgresql, remembered_keys, statements
from failsoft.ledger.transitions.compare_and_set import event_of


def insert_job(
    connection: AnyConnection, job: NewJob, plan: OfferPlan | None, actor: str
) -> JobRecord | None:
    """Record a job, already offered if there is a plan (rules 1 and 3).

    Returns:
        The new job; None if its id or its idempotency key is taken, or remembered.
    """
    extras = extras_of(job)
    insert = _Insert(plan is not None, frozenset(extras))
    values = values_of(job, plan) | extras
    values |= {} if job.key_for is None else remembered_keys.key_of(job)
    row = _insert_with_event(connection, values, first_event(job, plan, actor), insert)
    return None if row is None else rows.new_record(job, plan, row)


def values_of(job: NewJob, plan: OfferPlan | None) -> dict[str, Any]:
    """Return what the ledger keeps of every new job."""
    values: dict[str, Any] = {
        "id": job.id,
        "name": job.name,
        "queue": job.queue,
        "payload": job.payload,
        "payload_sha": job.payload_sha,
        "idempotency_key": job.idempotency_key,
        "priority": job.priority,
        "version": job.version,
        "engines": json.dumps(job.engines) if job.engines else "[]",
        "tags": json.dumps(job.tags) if job.tags else "[]",
        "follow_ups": job.follow_ups,
        "waits_for": job.waits_for,
        "trace_context": job.trace_context,
    }
    if plan is not None:
        values["engine"] = plan.engine
        values["wait"] = microseconds(plan.pickup)
    else:
        values["run_at"] = None if job.run_at is None else stored(job.run_at)
        values["wait"] = None if job.waits_for else microseconds(job.delay or timedelta(0))
    return values


def first_event(job: NewJob, plan: OfferPlan | None, actor: str) -> dict[str, str]:
    """Return what the event of a dispatch says, for a row of its own and as `history`."""
    state = JobState.SCHEDULED if plan is None else JobState.OFFERED
    offer = () if plan is None else (("engine", plan.engine), ("reason", plan.reason))
    spans = spans_of_dispatch(job, offered=plan is not None)
    return dict((_first_event if not spans else _made)(state, actor, (*offer, *spans.items())))


def _made(state: JobState, actor: str, detail: tuple[tuple[str, Any], ...]) -> Mapping[str, str]:
    told = dict(detail)
    packed = packed_events.first(state, actor, told)
    return {"kind": DISPATCH, "actor": actor, "detail": json.dumps(told), "history": packed}


#: Nearly all dispatches of a process say the same.
_first_event = lru_cache(_made)


def extras_of(job: NewJob) -> dict[str, Any]:
    """Return what the ledger keeps of few new jobs: only what this one has."""
    extras: dict[str, Any] = {}
    if job.expires_in is not None:
        extras["expires_in"] = microseconds(job.expires_in)
    elif job.expires_at is not None:
        extras["expires_at"] = stored(job.expires_at)
    extras |= rows.limit_columns(job.limits)
    if job.key_for is not None:
        extras["key_for"] = microseconds(job.key_for)
    if job.unique is not None:
        extras |= {"unique_key": job.unique.key, "unique_scope": job.unique.scope}
        if job.unique.period is not None:
            extras["unique_for"] = microseconds(job.unique.period)
    return extras


@dataclass(frozen=True, slots=True)
class _Insert:
    offered: bool
    extras: frozenset[str]


def _insert_with_event(
    connection: AnyConnection, values: Mapping[str, Any], event: Mapping[str, Any], insert: _Insert
) -> AnyRow | None:
    if connection.dialect.name == "postgresql":
        statement = postgresql.insert_job(offered=insert.offered, extras=insert.extras)
        return execute(connection, statement, {**values, **event}).one_or_none()
    first = statements.insert_job(
        connection.dialect.name, offered=insert.offered, extras=insert.extras
    )
    row = execute(connection, first, {**values, "history": event["history"]}).one_or_none()
    if row is not None and not row.is_packed:
        execute(connection, statements.INSERT_EVENT, {**event_of(row), **event})
    return row


_BY_ID = select(*jobs.c).where(jobs.c.id == bindparam("job"))
_BY_KEY = select(*jobs.c).where(
    jobs.c.name == bindparam("name"), jobs.c.idempotency_key == bindparam("key")
)
_OF_UNIQUE_KEY = and_(
    jobs.c.name == bindparam("at_name"), jobs.c.unique_key == bindparam("at_key"), text(UNIQUE_HELD)
)
_OVER = and_(jobs.c.unique_scope == UniqueScope.PERIOD, jobs.c.unique_until <= now_us())
_BY_UNIQUE_KEY = select(*jobs.c).where(
    _OF_UNIQUE_KEY, or_(jobs.c.unique_until.is_(None), jobs.c.unique_until > now_us())
)
#: Take the key from the job whose period is over: from then on it blocks no job.
_FREE_UNIQUE_KEY = update(jobs).where(_OF_UNIQUE_KEY, _OVER).values(unique_key=None)


def record(
    connection: Connection, job: NewJob, plan: OfferPlan | None, actor: str
) -> tuple[JobRecord, bool]:
    """Record a job, or find the one that stands in its way.

    An index decides, and not a look before. A turn that finds no job in the way lost to one
    that has ended or begun since, and goes on without it.
    """
    while True:
        new = insert_job(connection, job, plan, actor)
        if new is not None:
            return new, True
        known = _in_the_way(connection, job)
        if known is not None:
            return known, False


def _in_the_way(connection: Connection, job: NewJob) -> JobRecord | None:
    known = connection.execute(_BY_ID, {"job": job.id}).one_or_none()
    if known is None and job.idempotency_key is not None:
        key = {"name": job.name, "key": job.idempotency_key}
        known = connection.execute(_BY_KEY, key).one_or_none()
    if known is None and job.key_for is not None:
        pruned = remembered_keys.find(connection, job)
        if pruned is not None:
            return pruned
    if known is None and job.unique is not None:
        known = holder_of(connection, job.name, job.unique)
    return None if known is None else rows.job_record(known)


def holder_of(connection: Connection, name: str, unique: UniqueKey) -> AnyRow | None:
    """Find the job that holds a unique key; whose period is over holds it no more."""
    held = {"at_name": name, "at_key": unique.key}
    holder = connection.execute(_BY_UNIQUE_KEY, held).one_or_none()
    if holder is None:
        connection.execute(_FREE_UNIQUE_KEY, held)
    return holder


def insert_retry(connection: Connection, values: Mapping[str, Any]) -> AnyRow | None:
    """Insert the job of a manual retry; None if it is there, or another one holds its key."""
    statement = insert_into(connection.dialect.name, jobs).values(dict(values))
    wanted = statement.on_conflict_do_nothing().returning(*jobs.c)
    return connection.execute(wanted).one_or_none()
