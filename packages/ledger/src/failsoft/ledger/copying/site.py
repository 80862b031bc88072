"""The connections of a copy: without the limits of the ledger's calls, to either database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from failsoft.ledger.database.database import Database
from failsoft.ledger.database.postgresql.engine import POOLER
from failsoft.ledger.schema.tables import metadata
from failsoft.ledger.upgrade import postgresql, sqlite
from failsoft.ledger.upgrade.steps import Report
from failsoft.ledger.upgrade.transactions import committed

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ"


@dataclass(frozen=True, slots=True)
class Site:
    """A ledger, and the one connection that the copy has to it.

    Attributes:
        database: The ledger's database.
        connection: Commits each statement that is in no transaction.
        report: Called with what is waited for.
        patience: How long a lock is waited for.
    """

    database: Database
    connection: Connection
    report: Report
    patience: timedelta

    def writing(self) -> AbstractContextManager[None]:
        """Begin a transaction that writes; commit it at the end."""
        if self.database.is_sqlite:
            return sqlite.transaction(self.connection, self.report, self.patience)
        return postgresql.transaction(self.connection)

    def reading(self) -> AbstractContextManager[None]:
        """Begin a transaction that sees one moment of the ledger."""
        begin = "BEGIN" if self.database.is_sqlite else f"{_SNAPSHOT} READ ONLY"
        return committed(self.connection, lambda: self.connection.exec_driver_sql(begin))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Begin a transaction in which no other process writes to the ledger, and which may.

        Others are refused as by a ledger that is away; those that only read are not.

        Raises:
            LedgerUnavailableError: On SQLite, another process has written all the time.
            DBAPIError: On PostgreSQL, a lock was not to be had.
        """
        if self.database.is_sqlite:
            with self.writing():
                yield
            return
        with committed(self.connection, lambda: self.connection.exec_driver_sql(_SNAPSHOT)):
            milliseconds = int(self.patience.total_seconds() * 1000)
            self.connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
            # Before the first look, which decides what the transaction sees.
            names = ", ".join(table.name for table in metadata.sorted_tables)
            self.connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            yield


@contextmanager
def opened(database: Database, report: Report, patience: timedelta) -> Iterator[Site]:
    """Connect to a ledger.

    Raises:
        ConfigurationError: A pooler stands before it that may lend the session to others.
        DBAPIError: It does not answer.
    """
    if database.is_sqlite:
        with sqlite.connect(database.engine) as connection:
            yield Site(database, connection, report, patience)
        return
    engine = postgresql.engine(database.url)
    try:
        with closing(postgresql.connect(engine, database.url.query.get(POOLER))) as connection:
            yield Site(database, connection, report, patience)
    finally:
        engine.dispose()
