"""Reading what a ledger keeps, however much it is: as a stream, or a batch at a time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, case, literal, null, select

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import JobRecord
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs

T = TypeVar("T")

#: How many rows travel at once.
_ROWS = 1000
#: Of how many jobs what they have to do with is read at once.
_AT_ONCE = 500

_UNREADABLE = "whatever is kept of a job can be read"
#: What no check reads, and what may be large.
_LEFT_OUT: dict[str, ColumnElement[Any]] = {
    "jobs.payload": literal(""),
    "jobs.error": null(),
    "jobs.result": case((jobs.c.result.is_not(None), "")),
    "steps.result": literal(""),
}


class ByJob:
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


def stream(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Iterator[AnyRow]:
    """Execute a statement and return its rows, a few of them at a time."""
    # Read through a cursor of the server on PostgreSQL; by default all rows would come at once.
    options = {"stream_results": True, "yield_per": _ROWS}
    found = connection.execute(statement, execution_options=options)
    return chain.from_iterable(found.partitions())


def batches(found: Iterable[T]) -> Iterator[Sequence[T]]:
    """Cut a stream into batches."""
    remaining = iter(found)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch


def columns(table: Table) -> Iterator[ColumnElement[Any]]:
    """Return the columns of a table, without what is large and no check reads."""
    for column in table.c:
        instead = _LEFT_OUT.get(f"{table.name.removeprefix('failsoft_')}.{column.name}")
        yield column if instead is None else instead.label(column.name)


def ordered(table: Table) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads a table in the order of its primary key."""
    return select(*columns(table)).order_by(*table.primary_key)


def records(found: Iterable[AnyRow]) -> Iterator[JobRecord]:
    """Read jobs; one that cannot be read is reported with its history, and left out here."""
    for row in found:
        with suppress(ValueError):
            yield rows.job_record(row)


def jobs_by_id(connection: Connection, ids: Collection[str | None]) -> Mapping[str, JobRecord]:
    """Return those jobs of a batch that are there."""
    wanted = {each for each in ids if each is not None}
    if not wanted:
        return {}
    found = connection.execute(select(*columns(jobs)).where(jobs.c.id.in_(wanted)))
    return {job.id: job for job in records(found)}


def unreadable(job_id: str, error: ValueError) -> Violation:
    """Report something that cannot be read."""
    return Violation(job_id, "I1", _UNREADABLE, str(error))
