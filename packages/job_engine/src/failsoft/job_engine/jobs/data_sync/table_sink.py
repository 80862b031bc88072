"""Where imported rows go: the port, in the job's own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from failsoft.job_engine.errors import FailsoftError

ColumnType = Literal["str", "int", "float", "bool", "date", "datetime"]

#: A table's or a column's name: what every database takes, and nothing that needs escaping.
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]

#: A row by column; times are aware UTC `datetime`.
Row = Mapping[str, Any]


class TablesUnavailableError(FailsoftError):
    """The database of the imported tables did not answer; the job is tried again."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: ColumnType
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table and its declared columns; it may have others."""

    name: str
    columns: tuple[Column, ...]


class TableSink(Protocol):
    """Tables that rows are written to, a batch at a time.

    Raises, from every method: `TablesUnavailableError` if the database does not answer,
    `NonRetryableError` if it refuses.
    """

    def ensure(self, table: TableShape) -> None:
        """Create the table if it is missing; accept one that has the declared columns.

        Raises:
            NonRetryableError: If the table exists without one of them.
        """
        ...

    def write_batch(self, table: TableShape, key: str, rows: Sequence[Row]) -> int:
        """Insert the rows and the key in one transaction, unless the key is there.

        Repeating it with the same key inserts nothing.

        Returns:
            How many rows the batch of that key inserted, now or before.
        """
        ...
