"""Which jobs a list has, the newest first, at the same cost however many the ledger keeps.

Each look goes through one index that holds what it chooses by. Neither database has statistics
of a new ledger, and SQLite has none at all, so no look leaves the choice of the index to them.
"""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.database.timestamps import stored
from failsoft.ledger.schema.jobs import by_itself, in_state, jobs
from failsoft.ledger.transitions.each_value import By, distinct, first_of_each

#: The states that nearly no job of a large ledger is in; each has an index of its own.
_RARE = frozenset(set(JobState) - {JobState.SUCCEEDED})


def newest(wanted: JobFilter, limit: int, *, is_sqlite: bool) -> AnySelect:
    """Select the jobs that a filter chooses, the newest first."""
    looks = list(_looks(wanted, limit, is_sqlite=is_sqlite))
    # SQLite takes no ORDER BY within a union but in a subquery.
    found = union_all(*(select(*look.subquery().c) for look in looks)).subquery()
    chosen = select(found.c.id).order_by(found.c.created_at.desc(), found.c.id).limit(limit)
    rows = select(*jobs.c).where(jobs.c.id.in_(chosen))
    return rows.order_by(jobs.c.created_at.desc(), jobs.c.id)


def _looks(wanted: JobFilter, limit: int, *, is_sqlite: bool) -> Iterator[AnySelect]:
    """Return statements that find, together, all that may be among the newest."""
    states, name, queue = wanted.get("states"), wanted.get("name"), wanted.get("queue")
    if wanted.get("key") is not None:
        here = jobs.c.name == name
        if name is None:
            names = distinct(jobs.c.name, jobs.c.idempotency_key.is_not(None))
            here = jobs.c.name.in_(select(names.c.value))
        yield _look(limit, here, *_chosen(wanted, is_sqlite=is_sqlite))
    elif states and _RARE.issuperset(states):
        rest = list(_chosen(wanted, "states", is_sqlite=is_sqlite))
        for state in sorted(set(states)):
            yield _look(limit, in_state(state), *rest)
    elif name is not None or queue is not None:
        yield _of_pairs(wanted, limit, is_sqlite=is_sqlite)
    else:
        yield _look(limit, *_chosen(wanted, is_sqlite=is_sqlite))


def _look(limit: int, *here: ColumnElement[bool]) -> AnySelect:
    found = select(jobs.c.id, jobs.c.created_at).where(*here)
    return found.order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)


def _of_pairs(wanted: JobFilter, limit: int, *, is_sqlite: bool) -> AnySelect:
    """Look at the newest of each queue and name: one index begins with both."""
    name, queue = wanted.get("name"), wanted.get("queue")
    if name is not None and queue is not None:
        rest = _chosen(wanted, "name", "queue", is_sqlite=is_sqlite)
        return _look(limit, jobs.c.queue == queue, jobs.c.name == name, *rest)
    if queue is not None:
        each = distinct(jobs.c.name, jobs.c.queue == queue)
        pair = (jobs.c.queue == queue, jobs.c.name == each.c.value)
    else:
        each = distinct(jobs.c.queue)
        pair = (jobs.c.queue == each.c.value, jobs.c.name == name)
    rest = _chosen(wanted, "name", "queue", "since", is_sqlite=is_sqlite)
    mine = select(jobs.c.id, jobs.c.created_at).where(*pair, *rest)
    since = wanted.get("since")
    by = By(jobs.c.created_at, literal(0 if since is None else stored(since)), newest=True)
    return first_of_each(each, mine, by, literal(limit), is_sqlite=is_sqlite)


def _chosen(wanted: JobFilter, *beside: str, is_sqlite: bool) -> Iterator[ColumnElement[bool]]:
    """Say what else must be true, in such a way that no index is chosen for it."""
    if (states := wanted.get("states")) and "states" not in beside:
        yield by_itself(jobs.c.state).in_(states)
    for column in ("queue", "name"):
        value: Any = wanted.get(column)
        if value is not None and column not in beside:
            yield by_itself(jobs.c[column]) == value
    if (key := wanted.get("key")) is not None:
        yield jobs.c.idempotency_key == key
    if (since := wanted.get("since")) is not None and "since" not in beside:
        yield jobs.c.created_at >= since
    if (until := wanted.get("until")) is not None:
        yield jobs.c.created_at < until
    if (tag := wanted.get("tag")) is not None:
        yield _has_tag(tag, is_sqlite=is_sqlite)


def _has_tag(tag: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    # Most have none, and are in no index of those that have some.
    is_tagged = jobs.c.tags != literal_column("'[]'")
    if not is_sqlite:
        return and_(is_tagged, cast(jobs.c.tags, JSONB).contains([tag]))
    tags = func.json_each(jobs.c.tags).table_valued("value")
    is_among = select(literal(1)).where(cast(tags.c.value, String) == tag).exists()
    # As it stands in JSON; to look for a text is faster than to read all of them.
    return and_(is_tagged, func.instr(jobs.c.tags, json.dumps(tag)) > 0, is_among)
