"""The business table of the `tx` steps: a row for each effect, in the ledger's database.

Nothing in it keeps a step from having two rows: that there is one is what is checked.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select

from failsoft.ledger.database.database import Database

_METADATA = MetaData()
_EFFECTS = Table(
    "chaos_effects",
    _METADATA,
    Column("job_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Effect:
    """One row."""

    job_id: str
    step: str
    attempt: int


def make_table(database: Database) -> None:
    """Make the table in the ledger's database."""
    database.write(_METADATA.create_all)


def add_effect(connection: Connection, job_id: str, step: str, attempt: int) -> None:
    """Write the row of a step, in the transaction that the step was given."""
    connection.execute(insert(_EFFECTS).values(job_id=job_id, step=step, attempt=attempt))


def effects_in(database: Database) -> Mapping[str, Sequence[Effect]]:
    """Return every row, by job."""
    by_job: dict[str, list[Effect]] = defaultdict(list)
    for row in database.read(lambda connection: connection.execute(select(_EFFECTS)).all()):
        by_job[row.job_id].append(Effect(*row))
    return by_job
