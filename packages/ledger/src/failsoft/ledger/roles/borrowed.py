"""A connection that a program lends: its driver's own, in a transaction of the program's."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.transactional import BorrowedConnection
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger.database.errors import translated
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.transitions import insert

#: What `PRAGMA synchronous` says of a connection whose commits wait for the disk.
_FULL = 2
#: Under what it is kept with a connection that they do.
_DURABLE = "failsoft_durable"


class BorrowedTransaction:
    """`CallersTransaction` on a borrowed connection."""

    def __init__(self, borrowed: BorrowedConnection, loans: "Loans", actor: str) -> None:
        self._borrowed = borrowed
        self._loans = loans
        self._actor = actor

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in it."""
        with translated(), self._loans.connected(self._borrowed) as connection:
            found, is_new = insert.record(connection, job, plan, self._actor)
            if not is_new:
                expect_replicated(connection)
            return found, is_new

    def when_over(self, then: Callable[[bool], None]) -> None:
        """Call this once when the transaction has committed."""
        self._borrowed.after_commit(partial(then, True))


class Loans:
    """SQLAlchemy's view of borrowed connections; what it ends of one, it ends nothing of."""

    def __init__(self, url: str, **options: Any) -> None:
        self._lent: ContextVar[Any] = ContextVar("lent")
        # No isolation level: SQLAlchemy would set it in the middle of the transaction.
        self._engine = create_engine(url, creator=self._lent.get, poolclass=NullPool, **options)

    @classmethod
    def of(cls, *, is_sqlite: bool) -> "Loans":
        """Return those of this process, for connections to one kind of database."""
        return _loans(is_sqlite)

    @contextmanager
    def connected(self, borrowed: BorrowedConnection) -> Iterator[Connection]:
        """Connect to what is lent, for a few statements."""
        lent = self._lent.set(_Lent(borrowed.driver))
        try:
            with self._engine.connect() as connection:
                yield connection
        finally:
            self._lent.reset(lent)


@cache
def _loans(is_sqlite: bool) -> Loans:
    if is_sqlite:
        return Loans("sqlite+pysqlite://")
    # Its types would be looked up by what takes psycopg's own connections only.
    return Loans("postgresql+psycopg://", use_native_hstore=False)


class _Lent:
    """A borrowed connection as SQLAlchemy may use it."""

    def __init__(self, driver: Any) -> None:
        object.__setattr__(self, "_driver", driver)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def __setattr__(self, name: str, value: object) -> None:
        """Leave the owner's settings, as `autocommit`, as they are."""

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Return a cursor whose rows are tuples, whatever the owner's are."""
        if isinstance(self._driver, sqlite3.Connection):
            made = self._driver.cursor(*args, **options)
            made.row_factory = None
            return made
        rows: Any = sys.modules["psycopg"].rows
        return self._driver.cursor(*args, **{"row_factory": rows.tuple_row, **options})

    def create_function(self, *args: Any, **options: Any) -> None:
        """Leave the owner's functions, of which one may have the name of SQLAlchemy's."""

    def commit(self) -> None:
        """Leave the transaction to its owner."""

    def rollback(self) -> None:
        """Leave the transaction to its owner."""

    def close(self) -> None:
        """Leave the connection to its owner."""


def expect_usable(borrowed: BorrowedConnection, *, is_sqlite: bool, place: str) -> None:
    """Make sure that a connection is one that a ledger's database takes, in a transaction.

    Args:
        borrowed: The connection.
        is_sqlite: Whether the ledger is a SQLite file.
        place: The ledger's name for people.

    Raises:
        OptionInvalidError: It is another driver's, in no transaction, or does not commit to disk.
    """
    driver = borrowed.driver
    psycopg: Any = sys.modules.get("psycopg")
    wanted: Any = sqlite3.Connection if is_sqlite else getattr(psycopg, "Connection", ())
    if not isinstance(driver, wanted):
        kind = type(driver)
        expected = "sqlite3.Connection" if is_sqlite else "psycopg.Connection"
        raise OptionInvalidError(
            f"expected a {expected} on the ledger's {place}, got a "
            f"{kind.__module__}.{kind.__qualname__}; a job is recorded in the caller's "
            "transaction only where both are in one database"
        )
    if not (driver.in_transaction if is_sqlite else _in_transaction(driver, psycopg)):
        raise OptionInvalidError(
            "expected a borrowed connection in a transaction, got one that commits each "
            "statement; begin a transaction first, or dispatch without a session"
        )
    if is_sqlite and _DURABLE not in borrowed.info:
        (synchronous,) = driver.execute("PRAGMA synchronous").fetchone()
        if synchronous < _FULL:
            raise OptionInvalidError(
                "expected a borrowed connection with synchronous=FULL, got "
                f"synchronous={synchronous}: what it commits may be gone after a power failure"
            )
        borrowed.info[_DURABLE] = True


def _in_transaction(driver: Any, psycopg: Any) -> bool:
    idle = psycopg.pq.TransactionStatus.IDLE
    return not driver.autocommit or driver.info.transaction_status != idle
