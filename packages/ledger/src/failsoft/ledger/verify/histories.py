"""The history of every job, read side by side with what is kept of it elsewhere."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import attrgetter

from sqlalchemy import Connection, Table, exists, func, select

from failsoft.job_engine.invariants import History, Violation
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, dispatch_attempts, events, receipts, steps
from failsoft.ledger.verify.streams import ByJob, ordered, stream, unreadable

_PARTS = (events, attempts, steps)
_CHILDREN = (*_PARTS, receipts, dispatch_attempts)
_ORPHAN = "whatever is kept of a job is kept beside its row"


def orphans(connection: Connection) -> Mapping[Table, Sequence[Violation]]:
    """Find rows of jobs that are not there, by their table."""
    return {table: list(_orphans(connection, table)) for table in _CHILDREN}


def side_by_side(
    connection: Connection, with_orphans: Collection[Table]
) -> Iterator[History | Violation]:
    """Read every history; one that cannot be read is a violation."""
    parts = [ByJob(_part(connection, table, with_orphans)) for table in _PARTS]
    for row in stream(connection, ordered(jobs)):
        yield _read(row, [rows_of.of(row.id) for rows_of in parts])


def of_one(connection: Connection, job_id: str) -> Iterator[History | Violation]:
    """Read the history of one job, if it is there."""
    for row in connection.execute(ordered(jobs).where(jobs.c.id == job_id)):
        its_parts = [ordered(table).where(table.c.job_id == job_id) for table in _PARTS]
        yield _read(row, [connection.execute(part).all() for part in its_parts])


def _read(job: AnyRow, kept: Sequence[Sequence[AnyRow]]) -> History | Violation:
    try:
        return _history(job, *kept)
    except ValueError as error:
        return unreadable(job.id, error)


def _part(
    connection: Connection, table: Table, with_orphans: Collection[Table]
) -> Iterator[AnyRow]:
    statement = ordered(table)
    if table in with_orphans:
        statement = statement.where(table.c.job_id.in_(select(jobs.c.id)))
    return stream(connection, statement)


def _history(
    job: AnyRow,
    its_events: Sequence[AnyRow],
    its_attempts: Sequence[AnyRow],
    its_steps: Sequence[AnyRow],
) -> History:
    return History(
        rows.job_record(job),
        rows.history(job, its_events),
        [rows.attempt_record(row) for row in its_attempts],
        [rows.step_record(row) for row in sorted(its_steps, key=attrgetter("seq"))],
    )


def _orphans(connection: Connection, table: Table) -> Iterator[Violation]:
    belongs = exists().where(jobs.c.id == table.c.job_id)
    statement = select(table.c.job_id, func.count()).where(~belongs).group_by(table.c.job_id)
    for job_id, count in connection.execute(statement):
        yield Violation(job_id, "I1", _ORPHAN, f"{count} rows of {table.name}, and no job")
