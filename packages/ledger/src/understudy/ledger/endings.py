"""What a job's end sets off, in the transaction that ends it."""

import random
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam

from understudy.job_engine.awaited import end_topic, waker
from understudy.job_engine.groups import GroupRecord
from understudy.job_engine.states import JobState
from understudy.ledger import invoking, sequels, statements, waking
from understudy.ledger.changing import Cause
from understudy.ledger.prepared import AnyRow, execute
from understudy.ledger.tables import aggregates

#: How many rows share one counter of ended jobs.
SHARDS = 8


def job_ended(connection: Connection, row: AnyRow) -> None:
    """Count a job that has just ended, and tell those who wait for it.

    Whatever is done here is done once for each job, and is undone with its end if that is not
    committed. It runs while the job's row is locked: lock no other jobs but in one order.

    Args:
        connection: The transaction.
        row: The columns of the job that a conclusion returns; `state` is how it ended.
    """
    ended = [row]
    while ended:
        each = ended.pop()
        _count_end(connection, each)
        if each.parent_id is not None:
            topic = end_topic(each.id)
            waking.lock(connection, topic)
            told = waker({"job": each.id, "state": each.state})
            waking.wake(connection, topic, Cause(sequels.ACTOR, told))
        if each.state == JobState.CANCELLED:
            ended += invoking.cancel_awaited(connection, each.id)
        if each.sequel is not None:
            ended += sequels.set_off(connection, each)


def group_over(connection: Connection, group: GroupRecord) -> None:
    """Carry out what the end of a group sets off; repeating it is harmless."""
    for row in sequels.complete(connection, group):
        job_ended(connection, row)


def _count_end(connection: Connection, row: AnyRow) -> None:
    values = {
        "name": row.name,
        "queue": row.queue,
        "engine": row.engine or "",
        "outcome": row.state,
        "shard": random.randrange(SHARDS),
    }
    execute(connection, _counting(connection.dialect.name), values)


@lru_cache
def _counting(dialect: str) -> statements.AnyInsert:
    """Add one to the counter of jobs that ended so."""
    key = tuple(column.name for column in aggregates.primary_key)
    values: dict[str, Any] = {name: bindparam(name) for name in key} | {"count": 1}
    statement = statements.insert_into(dialect, aggregates).values(values)
    return statement.on_conflict_do_update(
        index_elements=key, set_={"count": aggregates.c.count + 1}
    )
