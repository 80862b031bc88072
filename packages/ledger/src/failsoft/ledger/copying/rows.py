"""The rows of a table as plain values, alike on both databases; and the sum that compares them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    func,
    select,
    tuple_,
    type_coerce,
)

from failsoft.ledger.database.timestamps import Instant
from failsoft.ledger.schema.columns import PREFIX
from failsoft.ledger.schema.tables import info, metadata

#: Every table whose rows are copied as they are, those that others refer to first. The facts of a
#: ledger are not: some are the database's own.
TABLES: Sequence[Table] = [table for table in metadata.sorted_tables if table is not info]
#: How many rows are written in one transaction at most, and of how many characters.
BATCH_ROWS, BATCH_CHARS = 1_000, 4_000_000
#: How many rows are read at once.
_FETCHED = 200
_DIGEST_BYTES = 16
_MODULUS = 1 << (8 * _DIGEST_BYTES)

Row = Sequence[Any]


@dataclass(slots=True)
class Sum:
    """How many rows, and the sum of their hashes: the same in whatever order they were read.

    Databases sort texts differently, so no hash over all rows in their order can be compared.
    """

    rows: int = 0
    digest: int = 0

    def add(self, row: Row) -> int:
        """Add a row; return how many characters it has, roughly."""
        text = json.dumps(list(row), separators=(",", ":"), default=bytes.hex)
        hashed = blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(hashed)) % _MODULUS
        return len(text)

    def as_json(self) -> Mapping[str, Any]:
        """Return it as it is noted."""
        return {"rows": self.rows, "digest": f"{self.digest:032x}"}

    @classmethod
    def of_json(cls, noted: Mapping[str, Any]) -> Self:
        """Return what was noted."""
        return cls(noted["rows"], int(noted["digest"], 16))


def short(table: Table) -> str:
    """Name a table for people."""
    return table.name.removeprefix(PREFIX)


def count(connection: Connection, table: Table) -> int:
    """Count the rows of a table."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def is_empty(connection: Connection, table: Table) -> bool:
    """Return whether a table has no row."""
    return connection.execute(select(*table.primary_key).limit(1)).first() is None


def after(table: Table, key: Row | None) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the rows after a primary key, in its order."""
    ordered = select(*map(_plain, table.c)).order_by(*table.primary_key)
    return ordered if key is None else ordered.where(tuple_(*table.primary_key) > tuple_(*key))


def upto(table: Table, key: Row) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the rows up to a primary key."""
    return select(*map(_plain, table.c)).where(tuple_(*table.primary_key) <= tuple_(*key))


def key_of(table: Table, row: Row) -> Row:
    """Return the primary key of a row."""
    names = [column.name for column in table.c]
    return [row[names.index(column.name)] for column in table.primary_key]


def stream(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Iterator[Row]:
    """Read rows, a few of them at a time; the connection must be in a transaction."""
    options = {"stream_results": True, "yield_per": _FETCHED}
    with connection.execute(statement, execution_options=options) as found:
        for part in found.partitions():
            yield from map(tuple, part)


def batches(table: Table, rows: Iterator[Row], seen: Sum) -> Iterator[list[Row]]:
    """Cut rows into what is written at once, and add each to a sum."""
    batch, chars = list[Row](), 0
    for row in rows:
        batch.append(row)
        chars += seen.add(row)
        if len(batch) == BATCH_ROWS or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def sum_of(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Sum:
    """Add up rows."""
    found = Sum()
    for row in stream(connection, statement):
        found.add(row)
    return found


def as_parameters(table: Table, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as an insert takes them."""
    names = [column.name for column in table.c]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    # Microseconds stay the integers that they are stored as.
    if isinstance(column.type, Instant):
        return type_coerce(column, BigInteger).label(column.name)
    return column
