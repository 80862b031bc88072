"""The histories of all jobs of a database, read in four statements."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select

from failsoft.job_engine.invariants import History
from failsoft.ledger import Database
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, events, steps

T = TypeVar("T")


_ALL = {table: select(*table.c).order_by(*table.primary_key) for table in (jobs, events, attempts)}
_ALL[steps] = select(*steps.c).order_by(steps.c.job_id, steps.c.seq)


def histories_of(database: Database) -> dict[str, History]:
    """Read everything that is kept of every job."""
    return database.read(_read)


def _read(connection: Connection) -> dict[str, History]:
    happened = _by_job(connection, events, lambda row: row)
    tried = _by_job(connection, attempts, rows.attempt_record)
    done = _by_job(connection, steps, rows.step_record)
    return {
        row.id: History(
            rows.job_record(row),
            rows.history(row, happened[row.id]),
            tried[row.id],
            done[row.id],
        )
        for row in connection.execute(_ALL[jobs])
    }


def _by_job(
    connection: Connection, table: Table, read: Callable[[Any], T]
) -> defaultdict[str, list[T]]:
    found: defaultdict[str, list[T]] = defaultdict(list)
    for row in connection.execute(_ALL[table]):
        found[row.job_id].append(read(row))
    return found
