"""The one place where database errors become Failsoft's; `outages` says which become which."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from failsoft.job_engine.errors import (
    FailsoftError,
    LedgerError,
    LedgerSchemaError,
    LedgerUnavailableError,
)
from failsoft.job_engine.values.redaction import redacted
from failsoft.ledger.database.outages import Verdict, drops_connections, verdict


class WorkError(Exception):
    """Carries what the job's own SQL raised past the translation of the ledger's errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


#: Errors that have a meaning to the ledger's caller, and are passed on as they are.
_OURS = (FailsoftError, WorkError)
_AWAY = frozenset({Verdict.AGAIN, Verdict.RECONNECT, Verdict.AWAY, Verdict.SLOW, Verdict.COPIED})


def is_transient(error: BaseException) -> bool:
    """Return whether the same transaction may succeed if it is run again at once (F22, F23).

    A connection that broke counts: every transaction of the ledger may be repeated after a
    lost reply. One that does not come about does not: what is refused now is refused at once again.
    """
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    found = verdict(error.orig)
    if found is Verdict.RECONNECT and not error.connection_invalidated:
        # While it connected: only what the server itself has said.
        return getattr(error.orig, "sqlstate", None) is not None
    if error.connection_invalidated:
        return found not in (Verdict.AWAY, Verdict.SLOW)
    return found is Verdict.AGAIN


def is_silence(error: BaseException) -> bool:
    """Return whether an error is that of a call whose time was up."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "is_silence", False)


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database cannot serve, whatever was wanted of it.

    A statement that took too long does not: it may be that statement's own fault.
    """
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    return error.connection_invalidated or verdict(error.orig) in _AWAY - {Verdict.SLOW}


def drop_what_is_of_no_use(engine: Engine) -> None:
    """Let an engine close connections after errors that say so, not only after broken ones."""
    event.listen(engine, "handle_error", _on_error)


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
    is_useless = driver is not None and drops_connections(error)
    return DBAPIError.instance(
        statement,
        None,
        error,
        dialect.loaded_dbapi.Error,
        connection_invalidated=is_useless or is_lost(error, driver, None),
        dialect=dialect,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the database and its driver raise into ledger errors; keep the cause."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        raise_translated(error)


def raise_translated(error: Exception) -> NoReturn:
    """Raise the ledger's error for what was raised in one of its calls; ours stay as they are."""
    found = translation(error)
    if found is error:
        raise error
    raise found from error


def translation(error: Exception) -> Exception:
    """Return the ledger's error for what was raised in one of its calls; ours stay as they are."""
    if isinstance(error, _OURS):
        return error
    return _of_database(error) if isinstance(error, SQLAlchemyError) else _unforeseen(error)


def _of_database(error: SQLAlchemyError) -> LedgerError:
    if isinstance(error, PoolTimeoutError):
        return LedgerUnavailableError(
            "expected a connection to the ledger's database, got none in time: all that this "
            "process may have are in use; raise FAILSOFT_LEDGER_POOL, or find what holds them"
        )
    if not isinstance(error, DBAPIError) or error.orig is None:
        return LedgerError(f"the ledger's database refused: {_first_line(error)}")
    found = verdict(error.orig)
    return _by_verdict(error, found)


def _by_verdict(error: DBAPIError, found: Verdict) -> LedgerError:
    if found is Verdict.SCHEMA:
        return LedgerSchemaError(
            "expected the ledger's tables, got a database without them; "
            "run `failsoft ledger upgrade`"
        )
    if found is Verdict.COPIED:
        # To a process that runs it is away: it keeps what it has, and records nothing here.
        return LedgerUnavailableError(_first_line(error))
    if found in _AWAY:
        return LedgerUnavailableError(
            f"expected the ledger's database to answer, got {_first_line(error)}; "
            "check FAILSOFT_LEDGER_URL and the database"
        )
    if error.connection_invalidated:
        return LedgerUnavailableError(f"the ledger's database went away: {_first_line(error)}")
    return LedgerError(f"the ledger's database refused: {_first_line(error)}")


def _unforeseen(error: Exception) -> LedgerError:
    """Return the ledger's error for what is neither a driver's nor ours.

    Drivers raise it of values that they cannot send, or have not understood; its own text may hold
    them, and is left out.
    """
    if isinstance(error, ValueError | OverflowError | TypeError):
        return LedgerError(f"the ledger's database cannot hold a value: {type(error).__name__}")
    return LedgerError(f"the ledger's call failed unexpectedly: {type(error).__name__}")


def _on_error(context: ExceptionContext) -> None:
    if context.connection is not None and drops_connections(context.original_exception):
        context.is_disconnect = True


def _first_line(error: SQLAlchemyError) -> str:
    # Never the whole text: SQLAlchemy appends the parameters, which hold payloads.
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).strip().splitlines()
    return redacted(lines[0]) if lines else type(cause).__name__
