"""Migrations on SQLite: each step is a transaction of its own, and writers wait for one at most.

SQLite has one writer at a time. Readers go on meanwhile, for they see what was there before.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from random import uniform
from time import monotonic, sleep

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import OperationalError

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.ledger.schema import revision
from failsoft.ledger.upgrade import operations
from failsoft.ledger.upgrade.scripts import Migration
from failsoft.ledger.upgrade.steps import IndexSpec, Progress, Report
from failsoft.ledger.upgrade.transactions import committed

#: How long it waits before it says so, in seconds, and again after as long.
REPORT_AFTER = 1
#: The longest pause between two looks whether it may write: others look as often.
LOOK_WITHIN = 0.005
#: The longest pause after a step, in seconds; it is as long as the step was.
LONGEST_PAUSE = 1.0


class OvertakenError(Exception):
    """Another upgrade has brought the ledger to the revision in the meantime."""


def connect(engine: Engine) -> Connection:
    """Open a connection that begins no transaction by itself."""
    return engine.connect().execution_options(failsoft_reads=True)


def transaction(
    connection: Connection, report: Report, patience: timedelta
) -> AbstractContextManager[None]:
    """Begin a transaction when no other process writes; commit it at the end.

    Raises:
        LedgerUnavailableError: Another process has written all the time.
    """
    return committed(connection, lambda: _begin(connection, report, patience))


def _begin(connection: Connection, report: Report, patience: timedelta) -> None:
    began = reported = monotonic()
    while not _has_begun(connection):
        now = monotonic()
        if now - began > patience.total_seconds():
            raise LedgerUnavailableError(
                f"expected the turn to write to the ledger within {patience}, got another process "
                "that writes all the time; end it, and run `failsoft ledger upgrade` again: it "
                "goes on where it stopped"
            )
        if now - reported > REPORT_AFTER:
            reported = now
            report(Progress("", "the turn to write", "waiting for another process that writes"))
        sleep(uniform(0, LOOK_WITHIN))


def _has_begun(connection: Connection) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


class SqliteSteps:
    """`Steps` on SQLite."""

    is_first = False

    def __init__(
        self, connection: Connection, migration: Migration, report: Report, patience: timedelta
    ) -> None:
        self.connection = connection
        self._before = migration.before
        self._revision = migration.revision
        self._report = report
        self._patience = patience

    def once(self, step: str, table: str, work: Callable[[], None]) -> None:
        """Do it in a transaction."""
        self.report(step, "begun")
        began = monotonic()
        with self.transaction(table):
            work()
        self.report(step, "done")
        # Waiting writers look now and then: without a pause the next step would begin before.
        sleep(min(monotonic() - began, LONGEST_PAUSE))

    @contextmanager
    def transaction(self, table: str) -> Iterator[None]:
        """Begin a transaction.

        Raises:
            OvertakenError: Another upgrade has done all of this.
        """
        with transaction(self.connection, self._report, self._patience):
            if revision.revision(self.connection) != self._before:
                raise OvertakenError
            yield

    def create_index(self, index: IndexSpec) -> None:
        """Build it; other writers wait until it is there."""

        def work() -> None:
            there = inspect(self.connection).get_indexes(index.table)
            if all(each["name"] != index.name for each in there):
                operations.create_index(index)

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
