"""Migrations on SQLite: each step is a transaction of its own, and writers wait for one at most.

SQLite has one writer at a time. Readers go on meanwhile, for they see what was there before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from understudy.job_engine.errors import LedgerUnavailableError
from understudy.ledger import schema, sqlite
from understudy.ledger.errors import is_transient
from understudy.ledger.migrating import steps
from understudy.ledger.migrating.scripts import Migration
from understudy.ledger.migrating.steps import IndexSpec, Progress, Report


class OvertakenError(Exception):
    """Another upgrade has brought the ledger to the revision in the meantime."""


def connect(engine: Engine) -> Connection:
    """Open a connection that begins no transaction by itself."""
    return engine.connect().execution_options(understudy_reads=True)


@contextmanager
def transaction(connection: Connection, report: Report, patience: timedelta) -> Iterator[None]:
    """Begin a transaction when no other process writes; commit it at the end.

    Raises:
        LedgerUnavailableError: Another process has written all the time.
    """
    _begin(connection, report, patience)
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _begin(connection: Connection, report: Report, patience: timedelta) -> None:
    driver: Any = connection.connection.dbapi_connection
    began = monotonic()
    while True:
        try:
            sqlite.begin(driver)
        except OperationalError as error:
            if not is_transient(error):
                raise
            if monotonic() - began > patience.total_seconds():
                raise LedgerUnavailableError(
                    f"expected the turn to write to the ledger within {patience}, got another "
                    "process that writes; end it, and run `understudy ledger upgrade` again: it "
                    "goes on where it stopped"
                ) from error
            report(Progress("", "the turn to write", "waiting for another process that writes"))
        else:
            return


class SqliteSteps:
    """`Steps` on SQLite."""

    is_first = False

    def __init__(
        self, connection: Connection, migration: Migration, report: Report, patience: timedelta
    ) -> None:
        """Carry a migration out, as long as the ledger stands at the revision before."""
        self.connection = connection
        self._before = migration.before
        self._revision = migration.revision
        self._report = report
        self._patience = patience

    def once(self, step: str, table: str, work: Callable[[], None]) -> None:
        """Do it in a transaction."""
        self.report(step, "begun")
        with self.transaction(table):
            work()
        self.report(step, "done")

    @contextmanager
    def transaction(self, table: str) -> Iterator[None]:
        """Begin a transaction.

        Raises:
            OvertakenError: Another upgrade has done all of this.
        """
        with transaction(self.connection, self._report, self._patience):
            if schema.revision(self.connection) != self._before:
                raise OvertakenError
            yield

    def create_index(self, index: IndexSpec) -> None:
        """Build it; others who write wait until it is there."""

        def work() -> None:
            there = inspect(self.connection).get_indexes(index.table)
            if all(each["name"] != index.name for each in there):
                steps.create_index(index)

        self.once(f"index {index.name}", index.table, work)

    def drop_index(self, name: str, table: str) -> None:
        """Drop it."""
        drop = f'DROP INDEX IF EXISTS "{name}"'
        self.once(f"dropping index {name}", table, lambda: _execute(self.connection, drop))

    def report(
        self, step: str, phase: str, done: int | None = None, total: int | None = None
    ) -> None:
        """Report how far a step has come."""
        self._report(Progress(self._revision, step, phase, done, total))


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
