"""Which of the jobs that are due and have limits there is room for, in one statement.

Keys without room are left out first. Then the jobs are numbered by their rate key and, of those
that a rate leaves room for, by their concurrency key: however many jobs of full keys wait, the
first job that there is room for is always found.
"""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.conditions import IS_PAUSED
from failsoft.ledger.schema.jobs import IS_LIMITED, LIMIT_COLUMNS, jobs
from failsoft.ledger.schema.tables import rate_starts

_WAITING = select(
    jobs.c.id, jobs.c.priority, jobs.c.created_at, *(jobs.c[n] for n in LIMIT_COLUMNS)
).where(jobs.c.state == JobState.SCHEDULED, jobs.c.run_at <= now_us(), IS_LIMITED, ~IS_PAUSED)


def _taken(column: str, keys: CTE, *states: JobState) -> ScalarSelect[int]:
    other = jobs.alias("other")
    mine = (other.c[column] == keys.c.key, other.c.state.in_(states), other.c.finished_at.is_(None))
    return select(func.count()).select_from(other).where(*mine).scalar_subquery()


def _keys(waiting: CTE, column: str, *also: ColumnElement[Any]) -> CTE:
    key = waiting.c[column]
    found = select(key.label("key"), *also).where(key.is_not(None)).group_by(key)
    return found.cte(f"{column}s")


def _busy(waiting: CTE) -> CTE:
    """Count the jobs of each waiting concurrency key that run, or are on their way."""
    keys = _keys(waiting, "concurrency_key")
    taken = _taken("concurrency_key", keys, JobState.OFFERED, JobState.RUNNING)
    return select(keys.c.key, taken.label("taken")).cte("busy")


def _begun(waiting: CTE) -> CTE:
    """Count the starts of each waiting rate key, and the jobs that are about to begin."""
    keys = _keys(waiting, "rate_key", func.max(waiting.c.rate_period).label("period"))
    counted = and_(rate_starts.c.key == keys.c.key, rate_starts.c.at > now_us() - keys.c.period)
    starts = select(func.count()).select_from(rate_starts).where(counted).scalar_subquery()
    taken = starts + _taken("rate_key", keys, JobState.OFFERED)
    return select(keys.c.key, taken.label("taken")).cte("begun")


_CONCURRENCY, _RATE = ("concurrency_key", "concurrency_limit"), ("rate_key", "rate_limit")


def _place(among: CTE, key: str) -> ColumnElement[int]:
    order = (among.c.priority.desc(), among.c.created_at, among.c.id)
    return func.row_number().over(partition_by=among.c[key], order_by=order)


def _fits(among: CTE, limited: tuple[str, str], place: str | None = None) -> ColumnElement[bool]:
    key, limit = limited
    then = 1 if place is None else among.c[place]
    return or_(among.c[key].is_(None), among.c[f"{key}_taken"] + then <= among.c[limit])


def _with_room(waiting: CTE) -> CTE:
    """Leave out the jobs of full keys."""
    busy, begun = _busy(waiting), _begun(waiting)
    joined = waiting.outerjoin(busy, busy.c.key == waiting.c.concurrency_key)
    joined = joined.outerjoin(begun, begun.c.key == waiting.c.rate_key)
    taken = (busy.c.taken.label("concurrency_key_taken"), begun.c.taken.label("rate_key_taken"))
    counted = select(*waiting.c, *taken).select_from(joined).cte("counted")
    fits = (_fits(counted, _RATE), _fits(counted, _CONCURRENCY))
    return select(*counted.c).where(*fits).cte("with_room")


def _numbered(among: CTE, limited: tuple[str, str], name: str) -> CTE:
    """Leave each key as many jobs as it has room for, the most urgent and oldest."""
    place = _place(among, limited[0]).label(f"{name}_place")
    numbered = select(*among.c, place).cte(f"{name}_numbered")
    return select(*numbered.c).where(_fits(numbered, limited, f"{name}_place")).cte(name)


def due(within: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Find the due jobs with limits that there is room for, the most urgent first.

    Args:
        within: Which jobs may be offered at all; others take no place in the order.

    Returns:
        A statement that takes `limit`, the most that it finds.
    """
    waiting = _WAITING.where(within).cte("waiting")
    in_time = _numbered(_with_room(waiting), _RATE, "in_time")
    fitting = _numbered(in_time, _CONCURRENCY, "fitting")
    order = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
    found = select(*jobs.c).where(jobs.c.id.in_(select(fitting.c.id)))
    return found.order_by(*order).limit(bindparam("limit"))
