"""The one place where database errors become Understudy's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from understudy.job_engine.errors import LedgerError, LedgerSchemaError, LedgerUnavailableError
from understudy.job_engine.redaction import redacted

#: What PostgreSQL says when a transaction may simply be run again: serialization failure,
#: deadlock, and a backend that was terminated or is starting up or shutting down.
_RETRY_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
_GONE_SQLSTATES = frozenset({"57P01", "57P02", "57P03"})
_BUSY = ("database is locked", "database table is locked", "database is busy")
_NO_TABLE = ("no such table", "no such column")
_NO_TABLE_SQLSTATES = frozenset({"42P01", "42703"})


def is_transient(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed if it is run again at once (F22, F23).

    A connection that broke counts: every transaction of the ledger may be repeated after a
    lost reply.
    """
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state in _RETRY_SQLSTATES or state in _GONE_SQLSTATES or error.connection_invalidated:
        return True
    return isinstance(error, OperationalError) and any(t in str(error.orig) for t in _BUSY)


def as_sqlalchemy(
    error: Exception, statement: str, dialect: Dialect, driver: Any = None
) -> BaseException:
    """Return what SQLAlchemy would raise for an error of the driver's.

    Args:
        error: The driver's error.
        statement: What was executed; its parameters may hold payloads, and are left out.
        dialect: The database's.
        driver: The driver's connection, if there is one.
    """
    is_lost: Any = dialect.is_disconnect
    return DBAPIError.instance(
        statement,
        None,
        error,
        dialect.loaded_dbapi.Error,
        connection_invalidated=is_lost(error, driver, None),
        dialect=dialect,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the database raises into ledger errors; keep the cause."""
    try:
        yield
    except SQLAlchemyError as error:
        raise translation(error) from error


def translation(error: SQLAlchemyError) -> LedgerError:
    """Return the ledger's error for what the database raised."""
    if isinstance(error, DBAPIError) and _misses_a_table(error):
        return LedgerSchemaError(
            "expected the ledger's tables, got a database without them; "
            "run `understudy ledger upgrade`"
        )
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return LedgerUnavailableError(
            f"expected the ledger's database to answer, got {_first_line(error)}; "
            "check UNDERSTUDY_LEDGER_URL and the database"
        )
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return LedgerUnavailableError(f"the ledger's database went away: {_first_line(error)}")
    return LedgerError(f"the ledger's database refused: {_first_line(error)}")


def _misses_a_table(error: DBAPIError) -> bool:
    if isinstance(error, ProgrammingError):
        return getattr(error.orig, "sqlstate", None) in _NO_TABLE_SQLSTATES
    return any(text in str(error.orig) for text in _NO_TABLE)


def _first_line(error: SQLAlchemyError) -> str:
    # Never the whole text: SQLAlchemy appends the parameters, which hold payloads.
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).strip().splitlines()
    return redacted(lines[0]) if lines else type(cause).__name__
