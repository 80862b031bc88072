"""Checking a whole ledger against the invariants: one snapshot, read once, in little memory.

Jobs, events, attempts and steps are read side by side in the order of the primary keys, through
cursors that the server keeps on PostgreSQL, so that no more than one job is held at a time.
Nobody waits for it, and it waits for nobody.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    exists,
    func,
    literal,
    null,
    select,
    tuple_,
)

from understudy.job_engine.invariants import (
    History,
    LimitedAttempt,
    Violation,
    beyond_their_limit,
    repeated_keys,
    violations,
)
from understudy.job_engine.records import JobRecord
from understudy.ledger import rows
from understudy.ledger.database import Database
from understudy.ledger.errors import translated
from understudy.ledger.job_table import LIMIT_COLUMNS, jobs
from understudy.ledger.prepared import AnyRow
from understudy.ledger.tables import attempts, events, steps

#: How many jobs are checked between two signs of progress.
BATCH = 500
#: How many rows travel at once.
_ROWS = 1000
#: A look at a large ledger may take longer than a statement of the ledger's own.
_PATIENCE = "10min"

_CHILDREN = (events, attempts, steps)
_UNREADABLE = "whatever is kept of a job can be read"
_ORPHAN = "whatever is kept of a job is kept beside its row"
#: What no check reads, and what may be large.
_LEFT_OUT: dict[str, ColumnElement[Any]] = {
    "jobs.payload": literal(""),
    "jobs.error": null(),
    "jobs.result": case((jobs.c.result.is_not(None), "")),
    "steps.result": literal(""),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """Some jobs that were checked.

    Attributes:
        jobs: How many they were.
        events: How many events their histories have.
        violations: What they break.
    """

    jobs: int
    events: int
    violations: Sequence[Violation]


def count_jobs(database: Database) -> int:
    """Count the jobs of a ledger."""
    statement = select(func.count()).select_from(jobs)
    return database.read(lambda connection: connection.execute(statement).scalar_one())


def verify(database: Database) -> Iterator[Checked]:
    """Check every job of a ledger, batch by batch.

    Raises:
        LedgerUnavailableError: If the database does not answer, or goes away meanwhile.
    """
    with translated(), _snapshot(database) as connection:
        orphans = {table: tuple(_orphans(connection, table)) for table in _CHILDREN}
        yield Checked(0, 0, tuple(chain.from_iterable(orphans.values())))
        yield Checked(0, 0, tuple(repeated_keys(_with_repeated_keys(connection))))
        for limited in (_under_concurrency, _under_rates):
            yield Checked(0, 0, tuple(beyond_their_limit(limited(connection))))
        with_orphans = [table for table, found in orphans.items() if found]
        yield from _batches(_histories(connection, with_orphans))


@contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    if database.is_sqlite:
        options = {"understudy_reads": True}
    with database.engine.execution_options(**options).connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("BEGIN")
        else:
            for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
                connection.exec_driver_sql(f"SET LOCAL {timeout} = '{_PATIENCE}'")
        yield connection


class _ByJob:
    """Rows in the order of their jobs, taken one job after another."""

    def __init__(self, found: Iterator[AnyRow]) -> None:
        self._groups = groupby(found, attrgetter("job_id"))
        self._next = next(self._groups, None)

    def of(self, job_id: str) -> Sequence[AnyRow]:
        """Return the rows of the next job that has any, if it is this one."""
        if self._next is None or self._next[0] != job_id:
            return ()
        taken = list(self._next[1])
        self._next = next(self._groups, None)
        return taken


def _histories(
    connection: Connection, with_orphans: Collection[Table]
) -> Iterator[History | Violation]:
    children = [_ByJob(_children(connection, table, with_orphans)) for table in _CHILDREN]
    for row in _stream(connection, _all(jobs)):
        kept = [rows_of.of(row.id) for rows_of in children]
        try:
            yield _history(row, *kept)
        except ValueError as error:
            yield Violation(row.id, "I1", _UNREADABLE, str(error))


def _children(
    connection: Connection, table: Table, with_orphans: Collection[Table]
) -> Iterator[AnyRow]:
    statement = _all(table)
    if table in with_orphans:
        statement = statement.where(table.c.job_id.in_(select(jobs.c.id)))
    return _stream(connection, statement)


def _history(
    job: AnyRow,
    its_events: Sequence[AnyRow],
    its_attempts: Sequence[AnyRow],
    its_steps: Sequence[AnyRow],
) -> History:
    return History(
        rows.job_record(job),
        [rows.event_record(row) for row in its_events],
        [rows.attempt_record(row) for row in its_attempts],
        [rows.step_record(row) for row in sorted(its_steps, key=attrgetter("seq"))],
    )


def _batches(histories: Iterator[History | Violation]) -> Iterator[Checked]:
    checked, seen, found = 0, 0, list[Violation]()
    for history in histories:
        checked += 1
        if isinstance(history, Violation):
            found.append(history)
        else:
            seen += len(history.events)
            found += violations(history)
        if checked == BATCH:
            yield Checked(checked, seen, found)
            checked, seen, found = 0, 0, []
    yield Checked(checked, seen, found)


def _stream(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Iterator[AnyRow]:
    # Read through a cursor of the server on PostgreSQL; by default all rows would come at once.
    options = {"stream_results": True, "yield_per": _ROWS}
    found = connection.execute(statement, execution_options=options)
    return chain.from_iterable(found.partitions())


def _all(table: Table) -> Select[*tuple[Any, ...]]:
    return select(*_columns(table)).order_by(*table.primary_key)


def _columns(table: Table) -> Iterator[ColumnElement[Any]]:
    for column in table.c:
        instead = _LEFT_OUT.get(f"{table.name.removeprefix('understudy_')}.{column.name}")
        yield column if instead is None else instead.label(column.name)


def _orphans(connection: Connection, table: Table) -> Iterator[Violation]:
    belongs = exists().where(jobs.c.id == table.c.job_id)
    statement = select(table.c.job_id, func.count()).where(~belongs).group_by(table.c.job_id)
    for job_id, count in connection.execute(statement):
        yield Violation(job_id, "I1", _ORPHAN, f"{count} rows of {table.name}, and no job")


def _with_repeated_keys(connection: Connection) -> Iterator[JobRecord]:
    key = (jobs.c.name, jobs.c.idempotency_key)
    given = jobs.c.idempotency_key.is_not(None)
    repeated = select(*key).where(given).group_by(*key).having(func.count() > 1)
    statement = select(*_columns(jobs)).where(tuple_(*key).in_(repeated))
    for row in connection.execute(statement.order_by(*key, jobs.c.created_at, jobs.c.id)):
        yield rows.job_record(row)


def _under_concurrency(connection: Connection) -> Iterator[LimitedAttempt]:
    for row in _stream(connection, _limited("concurrency_key")):
        limit = rows.limits(row).concurrency
        assert limit is not None  # noqa: S101 - the statement says so
        yield LimitedAttempt(row.job_id, row.epoch, limit, row.began_at, row.ended_at)


def _under_rates(connection: Connection) -> Iterator[LimitedAttempt]:
    for row in _stream(connection, _limited("rate_key")):
        limit = rows.limits(row).rate
        assert limit is not None  # noqa: S101 - the statement says so
        yield LimitedAttempt(row.job_id, row.epoch, limit, row.began_at, row.ended_at)


def _limited(key: str) -> Select[*tuple[Any, ...]]:
    began = attempts.c.started_at.label("began_at")
    attempted = (attempts.c.job_id, attempts.c.epoch, began, attempts.c.ended_at)
    found = select(*attempted, *(jobs.c[name] for name in LIMIT_COLUMNS))
    found = found.join_from(attempts, jobs, attempts.c.job_id == jobs.c.id)
    return found.where(jobs.c[key].is_not(None)).order_by(jobs.c[key], attempts.c.started_at)
