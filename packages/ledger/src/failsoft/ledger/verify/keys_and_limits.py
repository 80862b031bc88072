"""What jobs share: their keys, and the limits of how many run or begin."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    TextClause,
    and_,
    func,
    or_,
    select,
    text,
    tuple_,
)

from failsoft.job_engine.invariants import (
    LimitedAttempt,
    Violation,
    beyond_their_limit,
    is_unsure,
    repeated_keys,
)
from failsoft.job_engine.records.job import JobRecord
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import LIMIT_COLUMNS, UNIQUE_HELD, jobs
from failsoft.ledger.schema.tables import attempts
from failsoft.ledger.upkeep.clock_doubt import spans
from failsoft.ledger.verify.streams import columns, stream


def one_key_twice(connection: Connection) -> Iterator[Violation]:
    """Find jobs of one name that share an idempotency key, or hold the same unique key (I10)."""
    return repeated_keys(_with_repeated_keys(connection))


def too_many_at_once(connection: Connection) -> Iterator[Violation]:
    """Find attempts beyond their concurrency limit (I12)."""
    return beyond_their_limit(_sure(connection, _under_concurrency(connection)))


def too_many_in_a_period(connection: Connection) -> Iterator[Violation]:
    """Find attempts beyond their rate limit (I12)."""
    return beyond_their_limit(_sure(connection, _under_rates(connection)))


def _sure(connection: Connection, attempted: Iterator[LimitedAttempt]) -> Iterator[LimitedAttempt]:
    """Leave out what began or ended while the clock was ahead of what it was set back to."""
    unsure = spans(connection)
    for each in attempted:
        if not is_unsure(each.started_at, unsure) and not is_unsure(each.ended_at, unsure):
            yield each


def _with_repeated_keys(connection: Connection) -> Iterator[JobRecord]:
    given = _repeated(jobs.c.idempotency_key, jobs.c.idempotency_key.is_not(None))
    held = _repeated(jobs.c.unique_key, text(UNIQUE_HELD))
    statement = select(*columns(jobs)).where(or_(given, held))
    for row in connection.execute(statement.order_by(jobs.c.created_at, jobs.c.id)):
        yield rows.job_record(row)


def _repeated(column: Column[Any], counts: ColumnElement[bool] | TextClause) -> ColumnElement[bool]:
    key = (jobs.c.name, column)
    repeated = select(*key).where(counts).group_by(*key).having(func.count() > 1)
    return and_(counts, tuple_(*key).in_(repeated))


def _under_concurrency(connection: Connection) -> Iterator[LimitedAttempt]:
    for row in stream(connection, _limited("concurrency_key")):
        limit = rows.limits(row).concurrency
        assert limit is not None  # noqa: S101 - the statement says so
        yield LimitedAttempt(row.job_id, row.epoch, limit, row.began_at, row.ended_at)


def _under_rates(connection: Connection) -> Iterator[LimitedAttempt]:
    for row in stream(connection, _limited("rate_key")):
        limit = rows.limits(row).rate
        assert limit is not None  # noqa: S101 - the statement says so
        yield LimitedAttempt(row.job_id, row.epoch, limit, row.began_at, row.ended_at)


def _limited(key: str) -> Select[*tuple[Any, ...]]:
    began = attempts.c.started_at.label("began_at")
    attempted = (attempts.c.job_id, attempts.c.epoch, began, attempts.c.ended_at)
    found = select(*attempted, *(jobs.c[name] for name in LIMIT_COLUMNS))
    found = found.join_from(attempts, jobs, attempts.c.job_id == jobs.c.id)
    return found.where(jobs.c[key].is_not(None)).order_by(jobs.c[key], attempts.c.started_at)
