"""Which jobs a list has, the newest first, at the same cost however many the ledger keeps.

Each look goes through one index that holds what it chooses by. Neither database has statistics
of a new ledger, and SQLite never has any, so no look leaves the choice of the index to them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    cast,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB

from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.schema.jobs import in_state, jobs

#: The states that nearly no job is in; each has an index of its own, in the order of lists where
#: jobs may stay in it.
_RARE = frozenset(set(JobState) - {JobState.SUCCEEDED})
_IN_ORDER = frozenset({JobState.HELD, JobState.FAILED, JobState.CANCELLED})

Wheres = tuple[ColumnElement[bool], ...]


def newest(connection: Connection, wanted: JobFilter, limit: int) -> Sequence[AnyRow]:
    """Return the rows of the jobs that a filter chooses, the newest first."""
    looks = list(_looks(connection, wanted, limit))
    if not looks:
        return ()
    ids = looks[0] if len(looks) == 1 else union_all(*(select(look.subquery()) for look in looks))
    found = ids.subquery()
    chosen = select(found.c.id).order_by(found.c.created_at.desc(), found.c.id).limit(limit)
    rows = select(*jobs.c).where(jobs.c.id.in_(chosen))
    return connection.execute(rows.order_by(jobs.c.created_at.desc(), jobs.c.id)).all()


def _looks(connection: Connection, wanted: JobFilter, limit: int) -> Iterator[Select[Any]]:
    """Return statements that find, together, all that may be among the newest."""
    dialect = connection.dialect.name
    states, name, queue = wanted.get("states"), wanted.get("name"), wanted.get("queue")
    if wanted.get("key") is not None:
        names = [name] if name is not None else _names(connection)
        for each in names:
            yield _look(limit, (jobs.c.name == each, *_chosen(wanted, dialect)))
    elif states and _RARE.issuperset(states):
        for state in set(states):
            here = (in_state(state), *_chosen(wanted, dialect, beside="states"))
            yield _look(limit, here, is_in_order=state in _IN_ORDER)
    elif name is not None:
        queues = [queue] if queue is not None else _queues_of(connection, name)
        for each in queues:
            here = (jobs.c.name == name, jobs.c.queue == each)
            yield _look(limit, (*here, *_chosen(wanted, dialect, beside="name queue")))
    elif queue is not None:
        here = (jobs.c.queue == queue, *_chosen(wanted, dialect, beside="queue"))
        yield _look(limit, here)
    else:
        yield _look(limit, tuple(_chosen(wanted, dialect)))


def _look(limit: int, here: Wheres, *, is_in_order: bool = True) -> Select[Any]:
    found = select(jobs.c.id, jobs.c.created_at).where(*here)
    at = type_coerce(jobs.c.created_at, BigInteger)
    # An index of all jobs in their order would be gone through for the few of the state.
    order = at if is_in_order else at + 0
    return found.order_by(order.desc(), jobs.c.id).limit(limit)


def _chosen(wanted: JobFilter, dialect: str, beside: str = "") -> Iterator[ColumnElement[bool]]:
    """Say what else must be true; no index is chosen by a name, a queue or a state of it."""
    besides = beside.split()
    if (states := wanted.get("states")) and "states" not in besides:
        yield _by_itself(jobs.c.state).in_(states)
    for column in ("queue", "name"):
        value: Any = wanted.get(column)
        if value is not None and column not in besides:
            yield _by_itself(jobs.c[column]) == value
    if (key := wanted.get("key")) is not None:
        yield jobs.c.idempotency_key == key
    if (since := wanted.get("since")) is not None:
        yield jobs.c.created_at >= since
    if (until := wanted.get("until")) is not None:
        yield jobs.c.created_at < until
    if (tag := wanted.get("tag")) is not None:
        yield _has_tag(tag, dialect)


def _by_itself(column: ColumnElement[str]) -> ColumnElement[str]:
    return column.concat("")


def _names(connection: Connection) -> Sequence[str]:
    """Return the names of the jobs that are there, by as many looks into their index."""
    return _distinct(connection, jobs.c.name, ())


def _queues_of(connection: Connection, name: str) -> Sequence[str]:
    return _distinct(connection, jobs.c.queue, (jobs.c.name == name,))


def distinct_names(connection: Connection, among: ColumnElement[bool]) -> Sequence[str]:
    """Return the names of some jobs, by as many looks into the index of those."""
    return _distinct(connection, jobs.c.name, (among,))


def _distinct(connection: Connection, column: ColumnElement[str], here: Wheres) -> Sequence[str]:
    first = select(func.min(column).label("value")).where(*here)
    values = first.cte("found", recursive=True)
    following = select(func.min(column)).where(*here, column > values.c.value).scalar_subquery()
    values = values.union_all(select(following).where(values.c.value.is_not(None)))
    found = select(values.c.value).where(values.c.value.is_not(None))
    return connection.execute(found).scalars().all()


def _has_tag(tag: str, dialect: str) -> ColumnElement[bool]:
    if dialect == "postgresql":
        return cast(jobs.c.tags, JSONB).contains([tag])
    tags = func.json_each(jobs.c.tags).table_valued("value")
    return select(literal(1)).where(cast(tags.c.value, String) == tag).exists()
