"""Adding the differences of a process to the counters of all, once however often it is written.

A batch leaves a row that says that it was added; the next batch of its process takes it away. What
the last batch of a killed process left is taken away a day later.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, or_, select

from failsoft.job_engine.ports.measures import NOTICES, Batch, Series
from failsoft.ledger.database.compiled import Statement, execute, execute_many
from failsoft.ledger.database.inserts import AnyInsert, insert_into
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.tables import measures, notices
from failsoft.ledger.transitions.counters import any_shard

#: The `measure` of a row that says that a batch was added, and when.
BATCH = "batch"
_DAY_US = 24 * 3600 * 10**6
_KEY = tuple(column.name for column in measures.primary_key)
_SERIES = tuple(name for name in _KEY if name != "shard")
_FORGET = delete(measures).where(
    measures.c.measure == BATCH,
    or_(measures.c.name == bindparam("after"), measures.c.count < now_us() - _DAY_US),
)


def add(connection: Connection, batch: Batch) -> None:
    """Add a batch, unless it was added."""
    dialect = connection.dialect.name
    if not execute(connection, _mark(dialect), {"batch": batch.id}).rows:
        return
    execute(connection, _FORGET, {"after": batch.after})
    shard = any_shard()
    # In one order everywhere, so that no two transactions wait for each other.
    more = [_row(series, shard, count) for series, count in sorted(batch.counts.items())]
    if more:
        execute_many(connection, _add(dialect), more)


def statements_of_batches(dialect: str) -> Sequence[Statement]:
    """Return what `add` executes in a database of a dialect."""
    return _mark(dialect), _FORGET, _add(dialect)


def forget_notices(connection: Connection, before: datetime) -> None:
    """Delete the notices from before a moment, which stay counted."""
    old = notices.c.at < before
    found = select(notices.c.kind, notices.c.engine, func.count()).where(old)
    gone = connection.execute(found.group_by(notices.c.kind, notices.c.engine)).all()
    shard = any_shard()
    more = [_row(notice_series(kind, engine), shard, count) for kind, engine, count in gone]
    if more:
        connection.execute(_add(connection.dialect.name), more)
    connection.execute(delete(notices).where(old))


def notice_series(kind: str, engine: str | None) -> Series:
    """Return what counts the notices of a kind that are gone."""
    return Series(NOTICES, engine=engine or "", labels=kind)


@lru_cache
def _mark(dialect: str) -> Any:
    empty = dict.fromkeys(_SERIES, "") | {"measure": BATCH, "shard": 0}
    values: dict[str, Any] = empty | {"name": bindparam("batch"), "count": now_us()}
    statement = insert_into(dialect, measures).values(values).on_conflict_do_nothing()
    # Drivers do not count the rows of such an insert alike.
    return statement.returning(measures.c.name)


@lru_cache
def _add(dialect: str) -> AnyInsert:
    statement = insert_into(dialect, measures)
    more = {"count": measures.c.count + statement.excluded.count}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=more)


def _row(series: tuple[str, ...], shard: int, count: int) -> dict[str, Any]:
    return dict(zip(_SERIES, series, strict=True)) | {"shard": shard, "count": count}
