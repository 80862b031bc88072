"""Filling in what rows lack, a few at a time, resumed where it was killed."""

from dataclasses import dataclass
from time import monotonic, sleep

from sqlalchemy import (
    Column,
    ColumnClause,
    Connection,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from failsoft.ledger.schema.tables import info
from failsoft.ledger.upgrade.steps import Steps

#: How many rows are gone through in one transaction.
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Backfill:
    """A statement that is run over all rows of a table.

    Attributes:
        name: What is filled in.
        table: The table whose rows are gone through.
        key: A column of text that is unique in it.
        statement: SQL for the rows whose keys are above `:after` and not above `:upto`.
        batch: How many rows.
    """

    name: str
    table: str
    key: str
    statement: str
    batch: int = BATCH


def run(steps: Steps, work: Backfill) -> None:
    """Run it over the rows that it has not gone through yet."""
    step, connection = f"backfill {work.name}", steps.connection
    key: Column[str] = Column(work.key, String)
    rows = Table(work.table, MetaData(), key)
    total = connection.execute(select(func.count()).select_from(rows)).scalar_one()
    after: str | None = _reached(connection, work)
    done = connection.execute(
        select(func.count()).select_from(rows).where(key <= after)
    ).scalar_one()
    steps.report(step, "begun", done, total)
    while after is not None:
        began = monotonic()
        with steps.transaction(work.table):
            after = _one_batch(connection, work, key, after)
        done = min(done + work.batch, total)
        steps.report(step, "rows", done, total)
        # Half of the time the disk, and on SQLite the turn to write, is the others'.
        sleep(monotonic() - began)
    steps.report(step, "done")


def _one_batch(
    connection: Connection, work: Backfill, key: ColumnClause[str], after: str
) -> str | None:
    """Go through a batch; return the last key, or None after the last batch."""
    batch = select(key).where(key > after).order_by(key).limit(work.batch).subquery()
    upto: str | None = connection.execute(select(func.max(batch.c[0]))).scalar_one()
    here = info.c.key == _fact(work)
    if upto is None:
        connection.execute(delete(info).where(here))
        return None
    connection.execute(text(work.statement), {"after": after, "upto": upto})
    if connection.execute(update(info).where(here).values(value=upto)).rowcount == 0:
        connection.execute(insert(info).values(key=_fact(work), value=upto))
    return upto


def _reached(connection: Connection, work: Backfill) -> str:
    known = select(info.c.value).where(info.c.key == _fact(work))
    found: str | None = connection.execute(known).scalar_one_or_none()
    return found or ""


def _fact(work: Backfill) -> str:
    return f"backfill:{work.name}"
