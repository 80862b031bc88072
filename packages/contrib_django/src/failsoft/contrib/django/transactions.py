"""Dispatching in Django's own transaction, after it, or beside it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from failsoft.api import (
    BorrowedConnection,
    DispatchOptions,
    IdempotencyConflictError,
    JobHandle,
    JobNotFoundError,
    OptionInvalidError,
)
from failsoft.contrib.django.definition import TaskCall, declared_task
from failsoft.contrib.django.options import Mode
from failsoft.dispatcher import default_dispatcher
from failsoft.dispatcher.options.options import new_job
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.records.new_job import NewJob

#: Where a connection of Django's keeps what the ledger has found out about it.
_INFO = "_failsoft_info"
#: Under what that says whether the ledger is in its database.
_SHARED = "failsoft_shared"

AnyHandle = JobHandle[Any]


def dispatched(
    call: TaskCall,
    options: DispatchOptions,
    *,
    mode: Mode | None,
    using: str,
    recorded: Callable[[AnyHandle], object],
) -> tuple[str, AnyHandle | None]:
    """Dispatch a task in the transaction of a connection of Django's, if there is one.

    Args:
        call: The task.
        options: The options of the dispatch, without a session.
        mode: When it is recorded; None joins where the ledger is in the same database, and waits
            for the commit where it is not.
        using: The alias of the connection.
        recorded: Called with the handle of a job that waited for the commit, when it is there.

    Returns:
        The job's id and its handle; no handle if it waits for the commit.

    Raises:
        DispatchError: An option is wrong, or it is to join a transaction on another database.
        TransactionManagementError: The transaction is managed by hand, or broken.
        LedgerUnavailableError: The ledger did not answer.
    """
    connection = connections[using]
    is_open = _in_transaction(connection)
    if is_open and mode == "immediate":
        _expect_free(connection)
    elif is_open and (mode == "join" or (mode is None and shares_database(connection))):
        options["session"] = borrowed(connection)
    elif is_open:
        return _dispatch_after_commit(connection, call, options, recorded)
    handle = default_dispatcher().dispatch(declared_task, call, **options)
    return handle.id, handle


def borrowed(connection: BaseDatabaseWrapper) -> BorrowedConnection:
    """Lend the driver's connection of Django's, in a transaction.

    Raises:
        TransactionManagementError: A query has failed in it, and all that is left is a rollback.
        OptionInvalidError: It begins its transactions on SQLite without being the writer.
    """
    connection.validate_no_broken_transaction()
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        expect_immediate(connection)
    driver, info = getattr(connection, _INFO, (None, {}))
    if driver is not connection.connection:
        driver, info = connection.connection, {}
        setattr(connection, _INFO, (driver, info))
    return BorrowedConnection(driver, after_commit=partial(_after_commit, connection), info=info)


def shares_database(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the ledger is in the database of a connection, which is in a transaction.

    Raises:
        TransactionManagementError: A query has failed in it.
        LedgerUnavailableError: The ledger did not answer.
    """
    lent = borrowed(connection)
    if _SHARED not in lent.info:
        try:
            default_dispatcher().expect_session(lent)
        except OptionInvalidError:
            lent.info[_SHARED] = False
        else:
            lent.info[_SHARED] = True
    return bool(lent.info[_SHARED])


def is_immediate(connection: BaseDatabaseWrapper) -> bool:
    """Return whether each transaction of a connection to SQLite begins as the writer."""
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or ""
    return str(mode).upper() in {"IMMEDIATE", "EXCLUSIVE"}


def expect_immediate(connection: BaseDatabaseWrapper) -> None:
    """Refuse a connection to SQLite whose transactions become writers half-way.

    Raises:
        OptionInvalidError: They do: then SQLite may refuse the job, whatever is waited for.
    """
    if not is_immediate(connection):
        raise OptionInvalidError(
            f'expected DATABASES["{connection.alias}"]["OPTIONS"] with '
            '"transaction_mode": "IMMEDIATE", got a mode in which a transaction that has read '
            "cannot wait to write; set it, or the backend's transaction to on_commit"
        )


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    if connection.in_atomic_block:
        return True
    # Not `get_autocommit`, which connects.
    is_manual = connection.connection is not None and not connection.autocommit
    if is_manual:
        raise transaction.TransactionManagementError(
            "expected `transaction.atomic()` around an enqueued task, got a transaction that is "
            "managed by hand, whose commit no hook is called after"
        )
    return False


def _expect_free(connection: BaseDatabaseWrapper) -> None:
    # Django's transaction is the one writer there; the ledger would wait for it in vain.
    if connection.vendor == "sqlite" and is_immediate(connection) and shares_database(connection):
        raise OptionInvalidError(
            'expected transaction="join" or "on_commit" within `transaction.atomic()` on the '
            "ledger's SQLite file, got immediate, which would wait for that transaction to end"
        )


def _dispatch_after_commit(
    connection: BaseDatabaseWrapper,
    call: TaskCall,
    options: DispatchOptions,
    recorded: Callable[[AnyHandle], object],
) -> tuple[str, AnyHandle | None]:
    # What is wrong is refused now, when the caller can see it.
    new = new_job(declared_task, call, options, SystemClock())
    if "idempotency_key" in options and (known := _known(new)) is not None:
        return new.id, known
    options["job_id"] = new.id

    def dispatch() -> None:
        recorded(default_dispatcher().dispatch(declared_task, call, **options))

    # What it raises is the caller's: nothing else would make up for it.
    transaction.on_commit(dispatch, using=connection.alias)
    return new.id, None


def _known(new: NewJob) -> AnyHandle | None:
    """Return the job that has the id which the key of a new one makes.

    Raises:
        IdempotencyConflictError: It is called with something else.
    """
    try:
        handle = default_dispatcher().handle(declared_task, new.id)
    except JobNotFoundError:
        return None
    if handle.dispatched.payload_sha != new.payload_sha:
        raise IdempotencyConflictError(
            f"expected the arguments that the task with the key {new.idempotency_key!r} was "
            "enqueued with, got others; use another key for another call"
        )
    return handle


def _after_commit(connection: BaseDatabaseWrapper, then: Callable[[], None]) -> None:
    # Robust: what is not offered now is offered by a rescuer, and other hooks go on.
    transaction.on_commit(then, using=connection.alias, robust=True)
