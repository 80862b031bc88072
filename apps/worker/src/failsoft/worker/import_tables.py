"""The tables that `import_csv` writes, on SQLite or PostgreSQL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from failsoft.job_engine.errors import LedgerError, LedgerUnavailableError, NonRetryableError
from failsoft.job_engine.jobs.data_sync.table_sink import (
    ColumnType,
    Row,
    TableShape,
    TablesUnavailableError,
)
from failsoft.job_engine.values.redaction import redacted
from failsoft.ledger.database.call_limit import LIMIT
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.timestamps import Instant, now_us
from failsoft.ledger.opening import shared_database

_TYPES: Mapping[ColumnType, TypeEngine[Any]] = {
    "str": Text(),
    "int": BigInteger(),
    "float": Double(),
    "bool": Boolean(),
    "date": Date(),
    "datetime": DateTime(timezone=True),
}

#: The batches that were written: a batch and its key are committed together or not at all.
imports: Table = Table(
    "failsoft_imports",
    MetaData(),
    Column("key", String(255), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("at", Instant, nullable=False),
)


class SqlTables:
    """`TableSink` on SQL: SQLite in WAL mode with `BEGIN IMMEDIATE`, or PostgreSQL."""

    def __init__(self, url: str, *, limit: timedelta = LIMIT) -> None:
        """Write to a database, which may be the ledger's; nothing is connected yet.

        Args:
            url: The database's URL.
            limit: How long one call of it may take; a batch may take longer.

        Raises:
            ConfigurationError: If the URL is not one of SQLite or PostgreSQL.
        """
        self._database = shared_database(url, limit=limit)

    def ensure(self, table: TableShape) -> None:
        """Create the table, and that of the keys, if they are missing.

        Raises:
            NonRetryableError: If the table exists without one of the declared columns.
            TablesUnavailableError: If the database does not answer.
        """
        with _translated():
            # The ledger's file exists if it is that: the job that runs is in it.
            self._database.make_file()
            missing = self._database.write(lambda connection: _ensure(connection, table))
        if missing:
            raise NonRetryableError(
                f"expected table {table.name!r} to have the declared columns, got one without "
                f"{', '.join(missing)}"
            )

    def write_batch(self, table: TableShape, key: str, rows: Sequence[Row]) -> int:
        """Insert the rows and the key in one transaction, unless the key is there.

        Returns:
            How many rows the batch of that key inserted, now or before.

        Raises:
            NonRetryableError: If the table refuses a row.
            TablesUnavailableError: If the database does not answer.
        """
        with _translated():
            return self._database.write(
                lambda connection: _write(connection, table, key, rows),
                limit=self._database.at_length,
            )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._database.close()


def _ensure(connection: Connection, table: TableShape) -> Sequence[str]:
    if connection.dialect.name == "postgresql":
        # CREATE TABLE IF NOT EXISTS fails when two run at once.
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(imports.name))))
    for each in (imports, _table(table)):
        connection.execute(CreateTable(each, if_not_exists=True))
    found = {column["name"] for column in inspect(connection).get_columns(table.name)}
    return [column.name for column in table.columns if column.name not in found]


def _write(connection: Connection, table: TableShape, key: str, rows: Sequence[Row]) -> int:
    new = insert_into(connection.dialect.name, imports)
    marker = new.values(key=key, rows=len(rows), at=now_us())
    statement = marker.on_conflict_do_nothing().returning(imports.c.key)
    # If another attempt is writing the same batch now, PostgreSQL waits for it here.
    if connection.execute(statement).first() is None:
        known = select(imports.c.rows).where(imports.c.key == key)
        return int(connection.execute(known).scalar_one())
    if rows:
        _take_times_as_utc(connection)
        connection.execute(insert(_table(table)), rows)
    return len(rows)


def _take_times_as_utc(connection: Connection) -> None:
    # An existing table may have columns without a time zone, for which PostgreSQL converts times
    # into the zone of the session.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL TIME ZONE 'UTC'"))


def _table(table: TableShape) -> Table:
    columns = (Column(c.name, _TYPES[c.type], nullable=c.nullable) for c in table.columns)
    return Table(table.name, MetaData(), *columns)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except LedgerUnavailableError as error:
        raise TablesUnavailableError(
            f"expected the database of the imported tables to answer, got {_cause(error)}; check "
            "FAILSOFT_IMPORT_URL and the database"
        ) from error
    except LedgerError as error:
        raise NonRetryableError(
            f"expected the database of the imported tables to agree, got {_cause(error)}"
        ) from error


def _cause(error: LedgerError) -> str:
    # Only the first line: the others, and SQLAlchemy's own text, contain the row.
    cause = error.__cause__
    text = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip()
    return redacted(text.splitlines()[0]) if text else type(cause).__name__
