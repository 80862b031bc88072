"""What a migration may do: each function is one step, safe to run again, while others write.

A migration calls these and nothing else. `docs/how-to/upgrading.md` says how one is written.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, TextClause, inspect, text
from sqlalchemy.schema import SchemaItem

from failsoft.ledger.upgrade.backfill import BATCH, Backfill, run
from failsoft.ledger.upgrade.operations import op, running
from failsoft.ledger.upgrade.steps import IndexSpec


def connection() -> Connection:
    """Return the connection of the migration, to look at what is there."""
    return running().connection


def is_postgresql() -> bool:
    """Return whether the ledger is on PostgreSQL."""
    return connection().dialect.name == "postgresql"


def create_table(name: str, *items: SchemaItem, **options: Any) -> None:
    """Create a table, unless it is there."""

    def work() -> None:
        op.create_table(name, *items, if_not_exists=True, **options)

    running().once(f"table {name}", name, work)


def add_columns(table: str, *columns: Column[Any]) -> None:
    """Add columns in one transaction, except those that are there.

    Args:
        table: The table.
        columns: Nullable, or with a constant `server_default`: code of the revision before goes on
            inserting rows without them, and no row has to be rewritten.

    Raises:
        ValueError: A column is neither.
    """
    for each in columns:
        if not each.nullable and each.server_default is None:
            raise ValueError(
                f"expected {table}.{each.name} to be nullable or to have a server_default, got "
                "neither: older code inserts rows without it"
            )

    def work() -> None:
        for each in columns:
            if not has_column(table, each.name):
                op.add_column(table, each)

    running().once(f"columns {', '.join(each.name for each in columns)}", table, work)


def create_index(
    name: str,
    table: str,
    columns: Sequence[str | TextClause],
    *,
    unique: bool = False,
    where: str | None = None,
) -> None:
    """Create an index, unless it is there and valid.

    Args:
        name: The name, as the tables of the code have it.
        table: The table.
        columns: Its columns; one in descending order as `text("name DESC")`.
        unique: Whether no two rows may have the same values.
        where: The condition of a partial index.
    """
    running().create_index(IndexSpec(name, table, columns, unique, where))


def drop_index(name: str, table: str) -> None:
    """Drop an index that no code above the minimum revision needs."""
    running().drop_index(name, table)


def add_check(table: str, name: str, condition: str) -> None:
    """Add a check constraint to a table and validate the rows that are there.

    On PostgreSQL only: SQLite adds none to a table without writing all of it anew, so there the
    code alone keeps the condition.
    """
    if not is_postgresql():
        return

    def add() -> None:
        if _validity(table, name) is None:
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")

    def validate() -> None:
        if _validity(table, name) is False:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")

    running().once(f"check {name}", table, add)
    # It locks no row and no writer.
    running().once(f"validation of {name}", table, validate)


def once(step: str, table: str, work: Callable[[], None]) -> None:
    """Do something else in one short transaction, such as a trigger.

    Args:
        step: What it is, for the progress.
        table: The table that it locks.
        work: Does it with `operations.op`. It may run again after it was committed, and must not
            mind.
    """
    running().once(step, table, work)


def backfill(name: str, table: str, key: str, statement: str, *, batch: int = BATCH) -> None:
    """Run a statement over all rows of a table, a few at a time, in the order of a unique key.

    How far it has come is kept in the ledger, in the transaction of each batch: an upgrade that
    was killed goes on there. Rows that older code inserts meanwhile may be passed over: the code
    of the new revision must do with rows that lack what is filled in.

    Args:
        name: What is filled in; it names the place where the progress is kept.
        table: The table whose rows are gone through.
        key: A column of text that is unique in it.
        statement: SQL with the parameters `:after`, exclusive, and `:upto`, inclusive, between
            which lie the keys of a batch. It may run twice for the same rows.
        batch: How many rows.
    """
    run(running(), Backfill(name, table, key, statement, batch))


def has_column(table: str, column: str) -> bool:
    """Return whether a table has a column."""
    if is_postgresql():
        found = text(
            "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column"
            " AND NOT attisdropped"
        )
        given = {"table": table, "column": column}
        return connection().execute(found, given).first() is not None
    return any(each["name"] == column for each in inspect(connection()).get_columns(table))


def _validity(table: str, constraint: str) -> bool | None:
    found = text(
        "SELECT convalidated FROM pg_constraint"
        " WHERE conrelid = to_regclass(:table) AND conname = :constraint"
    )
    given = {"table": table, "constraint": constraint}
    valid: bool | None = connection().execute(found, given).scalar_one_or_none()
    return valid
