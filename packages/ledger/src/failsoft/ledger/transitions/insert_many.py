"""Recording many jobs a set at a time: a statement for all, and not one for each.

Only for jobs with which nothing but their ids can be in the way of another one. The others are
recorded one by one (`insert.py`).
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Insert,
    TextClause,
    bindparam,
    column,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import execute_many
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema import packed_events, rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import dispatch_attempts, events
from failsoft.ledger.transitions import statements
from failsoft.ledger.transitions.insert import extras_of, first_event, values_of

Planned = tuple[NewJob, OfferPlan | None]


class _Times(NamedTuple):
    """The moments of a new job, as the ledger keeps them."""

    created_at: int
    run_at: int | None
    pickup_by: int | None


def is_plain(job: NewJob) -> bool:
    """Return whether nothing but its id can be in the way of a job."""
    return job.idempotency_key is None and not extras_of(job)


def insert_many(
    connection: Connection, given: Sequence[Planned], actor: str
) -> Mapping[str, JobRecord]:
    """Record plain jobs, no two of one id; return the new ones by their ids.

    The id of one that is missing is taken.
    """
    new: dict[str, JobRecord] = {}
    for offered in (True, False):
        some = [(job, plan) for job, plan in given if (plan is not None) is offered]
        if some:
            new |= _insert(connection, some, actor, offered=offered)
    return new


def insert_tries(connection: Connection, tries: Sequence[Mapping[str, Any]]) -> None:
    """Note what became of offers, unless it is noted."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TRIES_AT_ONCE, {"given": json.dumps(tries)})
    else:
        execute_many(connection, statements.insert_try(connection.dialect.name), tries)


def _insert(
    connection: Connection, some: Sequence[Planned], actor: str, *, offered: bool
) -> Mapping[str, JobRecord]:
    values = [{**values_of(*each), **first_event(*each, actor)} for each in some]
    if connection.dialect.name == "postgresql":
        parameters = {"given": json.dumps(values)}
        found = connection.execute(_at_once(offered=offered), parameters)
        times: Mapping[str, Any] = {row.id: row for row in found}
    else:
        times = _by_rows(connection, values, offered=offered)
    return {
        job.id: rows.new_record(job, plan, times[job.id]) for job, plan in some if job.id in times
    }


def _by_rows(
    connection: Connection, values: Sequence[Mapping[str, Any]], *, offered: bool
) -> Mapping[str, _Times]:
    """Record jobs on SQLite; return the moments of the new ones."""
    # No other transaction writes while this one does, so no id is taken after this look.
    ids = json.dumps([each["id"] for each in values])
    taken = set(connection.scalars(_TAKEN, {"ids": ids}))
    new = [each for each in values if each["id"] not in taken]
    if not new:
        return {}
    now, is_packed = connection.execute(_NOW).one()
    times = {each["id"]: _times(each, now, offered=offered) for each in new}
    unpacked = {} if is_packed else {"history": None}
    made = [{**each, **times[each["id"]]._asdict(), **unpacked} for each in new]
    execute_many(connection, _insert_jobs(offered=offered), made)
    if not is_packed:
        happened = ({"job_id": each["id"], "at": now, **each} for each in new)
        execute_many(connection, _insert_events(offered=offered), happened)
    return times


def _times(values: Mapping[str, Any], now: int, *, offered: bool) -> _Times:
    wait = values["wait"]
    ends = None if wait is None else now + wait
    if offered:
        return _Times(now, None, ends)
    run_at = values["run_at"]
    return _Times(now, ends if run_at is None else run_at, None)


_NOW = select(now_us(), packed_events.MAY_PACK)
_TAKEN = select(jobs.c.id).where(
    jobs.c.id.in_(select(column("value")).select_from(func.json_each(bindparam("ids"))))
)
#: What the dispatch says of a job.
_GIVEN = (
    *("id", "name", "queue", "payload", "payload_sha", "priority", "engines", "tags"),
    *("follow_ups", "waits_for", "version", "trace_context"),
)
_OF_OFFER = {"state": JobState.OFFERED.value, "epoch": 1, "events": 1}
_OF_WAIT = {"state": JobState.SCHEDULED.value, "epoch": 0, "events": 1}


def _fixed(*, offered: bool) -> Mapping[str, Any]:
    return _OF_OFFER if offered else _OF_WAIT


@lru_cache
def _insert_jobs(*, offered: bool) -> Insert:
    moments = ("engine", "pickup_by") if offered else ("run_at",)
    names = (*_GIVEN, "history", "created_at", *moments)
    # The moments are whole numbers already.
    given = {name: bindparam(name, type_=_plain_type(name)) for name in names}
    return insert(jobs).values({**given, **_fixed(offered=offered)})


@lru_cache
def _insert_events(*, offered: bool) -> Insert:
    given: dict[str, Any] = {name: bindparam(name) for name in ("job_id", "actor", "detail")}
    given["at"] = bindparam("at", type_=BigInteger())
    fixed = _fixed(offered=offered)
    return insert(events).values(
        {**given, "n": 1, "kind": "dispatch", "state": fixed["state"], "epoch": fixed["epoch"]}
    )


def _plain_type(name: str) -> Any:
    return BigInteger() if name in _Times._fields else jobs.c[name].type


_POSTGRESQL: Any = postgresql
_NOW_TEXT, _PACKS = (
    str(each.compile(dialect=_POSTGRESQL.dialect(), compile_kwargs={"literal_binds": True}))
    for each in (now_us(), packed_events.MAY_PACK)
)
#: The given rows with the time. One parameter, as JSON: the driver builds arrays of texts element
#: by element.
_FROM_GIVEN = (
    f"FROM (SELECT CAST({_NOW_TEXT.replace('::bigint', '')} AS bigint) AS now) AS clock, "
    "json_to_recordset(CAST(:given AS json)) AS each ({})"
)
_KINDS = {
    **dict.fromkeys(("priority", "version", "epoch"), "integer"),
    **dict.fromkeys(("wait", "run_at", "elapsed_us"), "bigint"),
}


def _typed(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {_KINDS.get(name, 'text')}" for name in names)


_OF_TRY = ("job_id", "epoch", "engine", "stage", "outcome", "reason", "elapsed_us")
_TRIES_AT_ONCE = text(f"""
    INSERT INTO {dispatch_attempts.name} ({", ".join(_OF_TRY)}, at)
    SELECT {", ".join(_OF_TRY)}, now {_FROM_GIVEN.format(_typed(_OF_TRY))}
    ON CONFLICT DO NOTHING
""")


@lru_cache
def _at_once(*, offered: bool) -> TextClause:
    """Insert jobs and their first events on PostgreSQL in one statement; return their moments."""
    happened = ("actor", "kind", "detail", "history")
    given = (*_GIVEN, *happened, "wait", "engine" if offered else "run_at")
    fixed = _fixed(offered=offered)
    values = {name: name for name in _GIVEN} | {
        "created_at": "now",
        "state": f"'{fixed['state']}'",
        "epoch": str(fixed["epoch"]),
        "events": str(fixed["events"]),
        "history": f"CASE WHEN {_PACKS} THEN history END",
    }
    if offered:
        values |= {"engine": "engine", "pickup_by": "now + wait"}
    else:
        values |= {"run_at": "coalesce(run_at, now + wait)"}
    return text(f"""
        WITH given AS (
            SELECT * {_FROM_GIVEN.format(_typed(given))}
        ), job AS (
            INSERT INTO {jobs.name} ({", ".join(values)})
            SELECT {", ".join(values.values())} FROM given
            ON CONFLICT DO NOTHING
            RETURNING id, created_at, run_at, pickup_by, history
        ), event AS (
            INSERT INTO {events.name} (job_id, n, at, actor, kind, state, epoch, detail)
            SELECT id, 1, now, actor, kind, {values["state"]}, {values["epoch"]}, detail
            FROM job JOIN given USING (id) WHERE job.history IS NULL
        )
        SELECT id, created_at, run_at, pickup_by FROM job
    """)  # noqa: S608 - names of tables and columns, and states
