"""Recording a job in a transaction of the caller's: it is there if, and only if, that commits."""

import asyncio
import sys
import threading
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event
from sqlalchemy.util import await_only

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.transactional import BorrowedConnection, CallersTransaction
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger.database.errors import translated
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.sqlite import engine
from failsoft.ledger.database.sqlite.ledger_file import LedgerFile
from failsoft.ledger.roles.borrowed import BorrowedTransaction, Loans, expect_usable
from failsoft.ledger.transitions import insert

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

#: What distinguishes a PostgreSQL database from every other, also from a copy of it.
_IDENTITY = """
    SELECT oid, pg_postmaster_start_time(), current_schema()
    FROM pg_database WHERE datname = current_database()
"""


#: Under what the identity of its database is kept with a borrowed connection.
_KNOWN = "failsoft_identity"


class SqlTransactional(SqlRole):
    """`TransactionalLedger` on SQL."""

    def within(self, session: object) -> CallersTransaction:
        """Work in the transaction of a SQLAlchemy `Session` or `Connection` of the caller's.

        Of a `scoped_session`, as Flask-SQLAlchemy has, it is the session of this scope. Also in
        that of a `BorrowedConnection`.
        """
        if isinstance(session, BorrowedConnection):
            return self._within_borrowed(session)
        session = _of_this_scope(session)
        if not isinstance(session, Connection) and not _is_session(session):
            raise OptionInvalidError(
                "expected a SQLAlchemy Session or Connection, or a BorrowedConnection, got "
                f"{type(session).__name__}; an AsyncSession or AsyncConnection goes with "
                "`await dispatch_job_async(..., session=session)`"
            )
        with translated():
            connection = _connection(session)
            self._expect_our_database(connection)
        return SqlCallerTransaction(session, connection, self._actor)

    def _within_borrowed(self, borrowed: BorrowedConnection) -> CallersTransaction:
        expect_usable(borrowed, is_sqlite=self._database.is_sqlite, place=self._database.place)
        loans = Loans.of(is_sqlite=self._database.is_sqlite)
        with translated(), loans.connected(borrowed) as connection:
            if self._database.file is not None:
                self._expect_our_file(connection, self._database.file, borrowed.info)
                engine.prepare_driver(borrowed.driver)
            else:
                self._expect_known(connection, borrowed.info)
        return BorrowedTransaction(borrowed, loans, self._actor)

    def _expect_known(self, connection: Connection, info: MutableMapping[Any, Any]) -> None:
        # Looked at each time: a program may have set another search_path since.
        theirs = _identity(connection)
        if info.get(_KNOWN) == theirs:
            return
        if theirs != self._own_identity(connection):
            raise _another_database(self._database.place, f"database {_name(connection)}")
        info[_KNOWN] = theirs

    def _expect_our_database(self, connection: Connection) -> None:
        ours = "sqlite" if self._database.is_sqlite else "postgresql"
        theirs = connection.dialect.name
        if theirs != ours:
            raise _another_database(f"a {ours} database", f"a {theirs} one")
        if self._database.file is not None:
            self._expect_our_file(connection, self._database.file, connection.info)
            driver: Any = connection.connection.dbapi_connection
            engine.prepare_driver(driver)
        elif _identity(connection) != self._own_identity(connection):
            raise _another_database("the ledger's own", "another database")

    def _own_identity(self, connection: Connection) -> tuple[Any, ...]:
        if connection.dialect.is_async:
            # Such a connection is used on the event loop, which must not wait for the ledger's.
            return await_only(asyncio.to_thread(self._database.read, _identity))
        return self._database.read(_identity)

    def _expect_our_file(
        self, connection: Connection, ours: LedgerFile, info: MutableMapping[Any, Any]
    ) -> None:
        files = connection.exec_driver_sql("PRAGMA database_list").all()
        file = next((name for _, schema, name in files if schema == "main"), "")
        if not file or Path(file).resolve() != ours.path:
            raise _another_database(f"the ledger's file {ours.path}", file or "one in memory")
        ours.expect_callers(
            info,
            lambda: connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").all(),
        )


class SqlCallerTransaction:
    """`CallersTransaction` on SQL."""

    def __init__(self, session: "Session | Connection", connection: Connection, actor: str) -> None:
        self._session = session
        self._connection = connection
        self._actor = actor

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in it."""
        with translated():
            found, is_new = insert.record(self._connection, job, plan, self._actor)
            if not is_new:
                expect_replicated(self._connection)
            return found, is_new

    def when_over(self, then: Callable[[bool], None]) -> None:
        """Call this once when the transaction is over."""
        if self._session not in _WAITING:
            _WAITING[self._session] = []
            if _is_session(self._session):
                is_async = self._connection.dialect.is_async
                ended = _awaited_session_ended if is_async else _session_ended
                event.listen(self._session, "after_transaction_end", ended)
            else:
                event.listen(self._session, "commit", _connection_commits)
                event.listen(self._session, "rollback", _taken)
        _WAITING[self._session].append(then)


#: What is to be called when the transaction of a session or a connection is over.
_WAITING: WeakKeyDictionary["Session | Connection", list[Callable[[bool], None]]] = (
    WeakKeyDictionary()
)


def _of_this_scope(given: Any) -> object:
    orm: Any = sys.modules.get("sqlalchemy.orm")
    return given() if orm is not None and isinstance(given, orm.scoped_session) else given


def _is_session(given: object) -> "TypeGuard[Session]":
    # A program with sessions has imported this; every other starts faster without.
    orm = sys.modules.get("sqlalchemy.orm")
    return orm is not None and isinstance(given, orm.Session)


def _connection(session: "Session | Connection") -> Connection:
    return session if isinstance(session, Connection) else session.connection()


def _session_ended(session: "Session", transaction: "SessionTransaction") -> None:
    # A savepoint's end decides nothing: what it left behind is there when all is over.
    if transaction.parent is None:
        for then in _taken(session):
            then(True)


def _awaited_session_ended(session: "Session", transaction: "SessionTransaction") -> None:
    # The event loop does not wait for an engine.
    if transaction.parent is None:
        _call_in_thread(_taken(session), is_over=True)


def _connection_commits(connection: Connection) -> None:
    # A connection reports its commit before it commits: the rest waits in a thread for it.
    _call_in_thread(_taken(connection), is_over=False)


def _call_in_thread(waiting: Sequence[Callable[[bool], None]], *, is_over: bool) -> None:
    def call() -> None:
        for then in waiting:
            then(is_over)

    if waiting:
        threading.Thread(target=call, name="failsoft-after-commit", daemon=True).start()


def _taken(session: "Session | Connection") -> list[Callable[[bool], None]]:
    taken, _WAITING[session] = _WAITING[session], []
    return taken


def _identity(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.exec_driver_sql(_IDENTITY).one())


def _name(connection: Connection) -> str:
    found = connection.exec_driver_sql("SELECT current_database(), current_schema()").one()
    return f"{found[0]}, schema {found[1]}"


def _another_database(expected: str, got: str) -> OptionInvalidError:
    return OptionInvalidError(
        f"expected a session on {expected}, got {got}; a job is recorded in the caller's "
        "transaction only where both are in one database"
    )
