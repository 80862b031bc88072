"""The connection to the ledger's database: one engine a process, short transactions, retries."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.values.redaction import redacted_url, scheme_of
from failsoft.ledger.database.beside import with_what_is_beside
from failsoft.ledger.database.call_limit import LIMIT, RUNNING, CallLimit
from failsoft.ledger.database.errors import (
    drop_what_is_of_no_use,
    is_silence,
    is_transient,
    raise_translated,
)
from failsoft.ledger.database.joint import JointWrite, no_joint
from failsoft.ledger.database.pool import IDLE, LedgerPool
from failsoft.ledger.database.postgresql import engine as postgresql
from failsoft.ledger.database.postgresql.listener import Listener
from failsoft.ledger.database.postgresql.session import SessionSettings
from failsoft.ledger.database.raw_connections import (
    RawConnection,
    RawConnections,
    leave_all_to_parent,
)
from failsoft.ledger.database.sqlite import engine as sqlite
from failsoft.ledger.database.sqlite.ledger_file import LedgerFile
from failsoft.ledger.database.sqlite.private_file import create_private
from failsoft.ledger.database.waiting import Pause
from failsoft.ledger.database.weak_registry import WeakRegistry

C = TypeVar("C")
T = TypeVar("T")

#: The most connections of a process unless its part in the system says otherwise.
POOL = 32

_engines: WeakRegistry[Engine] = WeakRegistry()


def _forget_connections() -> None:
    leave_all_to_parent()
    for engine in _engines:
        # The parent goes on using the sockets; the child only lets go of them (rule 21).
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)


def ledger_url(text: str) -> URL:
    """Read a ledger URL: `sqlite:///path/to/file` or `postgresql://user@host/database`.

    Raises:
        ConfigurationError: If it is neither, or cannot be read.
    """
    try:
        url = make_url(postgresql.hosts_apart(text))
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "expected a ledger URL like sqlite:///ledger.db or postgresql://user@host/db, "
            f"got one that {_beginning(text)} and cannot be read"
        ) from None
    if url.get_backend_name() in ("postgres", "postgresql"):
        return postgresql.of_ledger(url)
    if url.drivername in sqlite.DRIVERS and url.database not in (
        None,
        "",
        ":memory:",
    ):
        return url.set(drivername="sqlite+pysqlite")
    raise ConfigurationError(
        "expected a ledger URL like sqlite:///ledger.db or postgresql://user@host/db, "
        f"got {redacted_url(text)!r}"
    )


def _beginning(text: str) -> str:
    scheme = scheme_of(text)
    return f"begins with {scheme}" if scheme else "has no scheme"


def driver_modules(text: str) -> tuple[str, ...]:
    """Return the modules that connecting to a ledger imports.

    A process that forks others imports them first, or each of those would again.

    Raises:
        ConfigurationError: If `text` is no ledger URL.
    """
    backend = ledger_url(text).get_backend_name()
    return sqlite.DRIVER if backend == "sqlite" else postgresql.DRIVER


class Database:
    """Short transactions on the ledger's database, repeated when they fail for a passing reason.

    Attributes:
        url: The database's URL.
        engine: The SQLAlchemy engine; connections belong to the process that opened them.
        file: The file of a SQLite ledger, as this process has it open; None on PostgreSQL.
    """

    def __init__(
        self,
        url: str,
        *,
        limit: timedelta = LIMIT,
        pool: int = POOL,
        idle: timedelta = IDLE,
        connect_timeout: timedelta = timedelta(seconds=2),
    ) -> None:
        """Prepare the engine; nothing is connected yet.

        Args:
            url: The ledger's URL.
            limit: How long one call takes at most, whatever the server does.
            pool: How many connections to PostgreSQL there are at most, but for a few that calls
                within calls may need.
            idle: How long one of them may be idle before it is closed.
            connect_timeout: How long a server may take to be connected to, where the URL does not
                say.
        """
        self.url: URL = ledger_url(url)
        self._limit = CallLimit(limit.total_seconds())
        self.engine: Engine
        if self.is_sqlite:
            self.engine = create_engine(
                self.url, **sqlite.engine_options(self.url, connect_timeout)
            )
            sqlite.prepare(self.engine)
        else:
            self.engine = postgresql.create(
                self.url, self._limit, connect_timeout=connect_timeout, pool=pool
            )
        self._raw_connections = RawConnections(self.engine)
        dialect = sqlite if self.is_sqlite else postgresql
        if not self.is_sqlite:
            postgresql.prepare(self.engine, self._raw_connections, idle)
        drop_what_is_of_no_use(self.engine)
        self._reader = dialect.reader(self.engine)
        self._writer: sqlite.Writer | postgresql.Writer = dialect.Writer(
            self.engine, self._raw_connections
        )
        self._retrying = Retrying(
            retry=retry_if_exception(is_transient),
            wait=wait_random_exponential(multiplier=0.01, max=0.5),
            stop=_call_is_over,
            reraise=True,
        )
        _engines.add(self.engine)
        self.file: LedgerFile | None = sqlite.file_of(self.url) if self.is_sqlite else None
        if self.file is not None:
            self.file.add_user(self)

    @property
    def is_sqlite(self) -> bool:
        """Return whether the ledger is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def place(self) -> str:
        """Name the ledger for people: the file with its whole path, or the database and its host.

        Neither a user nor a password is in it.
        """
        if self.is_sqlite:
            return str(Path(str(self.url.database)).absolute())
        port = f":{self.url.port}" if self.url.port else ""
        hosts = self.url.host or self.url.query.get("host") or "the local socket"
        shown = hosts if isinstance(hosts, str) else ",".join(hosts)
        return f"database {self.url.database} on {shown}{port}"

    def make_file(self) -> None:
        """Make the file of a SQLite ledger, private, if it is missing; no other call does.

        Raises:
            ConfigurationError: If it cannot be made.
        """
        if self.file is not None:
            create_private(self.file.path)

    @property
    def at_length(self) -> CallLimit:
        """The limit of a call with many statements: each is answered in time, not all of them."""
        return self._limit.at_length

    def write(
        self, work: Callable[[Connection], T], point: str = "", limit: CallLimit | None = None
    ) -> T:
        """Run one transaction and commit it; `point` names it among the crash points.

        `work` may run again after a passing failure, also when a commit's reply was lost; it
        must leave the same rows behind however often it runs (F22).

        Args:
            work: Executes the statements.
            point: Its name among the crash points.
            limit: What it may take, where that is not what every call may.

        Raises:
            LedgerUnavailableError: If the database does not answer in time.
        """
        whole = with_what_is_beside(work)
        return self._with_retries(lambda: _done_in(self._writer.begin(), whole, point), limit)

    def write_one(
        self,
        work: Callable[[RawConnection], T],
        point: str = "",
        limit: CallLimit | None = None,
        joint: Callable[[], JointWrite[T] | None] = no_joint,
    ) -> T:
        """Run one prepared statement that writes, or what SQLite has in its place.

        PostgreSQL answers once instead of three times: the statement is a transaction of its own.
        What takes SQLite several is one transaction here, too, and may be one with other threads'.

        Args:
            work: Executes the statement.
            point: Its name among the crash points.
            limit: What it may take, where that is not what every call may.
            joint: Returns the same as a part of a statement for several threads, where it can be.
        """

        def before() -> None:
            if point:
                reached(f"{point}.before")

        def once() -> T:
            result = self._writer.at_once(work, before, joint)
            if point:
                reached(f"{point}.after")
            return result

        return self._with_retries(once, limit)

    def read(
        self, work: Callable[[Connection], T], point: str = "", limit: CallLimit | None = None
    ) -> T:
        """Run reading statements, each seeing what is committed when it runs."""
        self._look_at_file()
        return self._with_retries(lambda: _done_in(self._reader.connect(), work, point), limit)

    def snapshot(self, work: Callable[[Connection], T]) -> T:
        """Run reading statements that all see what was committed at one moment."""
        self._look_at_file()
        options: dict[str, Any] = {"failsoft_reads": True}
        if not self.is_sqlite:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        engine = self.engine.execution_options(**options)

        def once() -> T:
            with engine.connect() as connection:
                if self.is_sqlite:
                    # What reads begins no transaction by itself; closing the connection ends it.
                    connection.exec_driver_sql("BEGIN")
                return work(connection)

        return self._with_retries(once)

    def ask(self, work: Callable[[RawConnection], T], point: str = "") -> T:
        """Run prepared statements that read."""
        self._look_at_file()
        return self._with_retries(lambda: _done_in(self._raw_connections.take(), work, point))

    def watch(self, channel: str) -> Pause | Listener:
        """Return what waits for notifications of a channel, where the database has any.

        Behind a pooler there are none: the session that listens would be another client's.
        """
        session: SessionSettings | None = getattr(self.engine.dialect, "session", None)
        if session is None or session.is_pooled:
            return Pause()
        return Listener(self.engine, channel, self._with_retries)

    def close(self) -> None:
        """Close this process's idle connections; others are opened on demand."""
        self.release_idle()

    def release_idle(self) -> None:
        """Close the connections that are not in use."""
        self._raw_connections.close()
        # Not the engine's `dispose`, after which a connection that another thread uses would come
        # back to a pool without an owner, and stay open.
        pool = self.engine.pool
        if isinstance(pool, LedgerPool):
            pool.close_idle()
        else:
            pool.dispose()

    @property
    def longest_call(self) -> float:
        """How long a call may use a connection, in seconds, but for one with many statements."""
        return self._limit.whole

    def has_turn(self) -> bool:
        """Return whether this thread is in the middle of a transaction that writes to SQLite."""
        return isinstance(self._writer, sqlite.Writer) and self._writer.has_turn()

    def _look_at_file(self) -> None:
        if self.file is not None:
            self.file.ready()

    def _with_retries(self, once: Callable[[], T], limit: CallLimit | None = None) -> T:
        outer = RUNNING.begin(limit or self._limit)
        try:
            return once()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is translated
            # Only now: what goes well, as nearly everything does, pays for no retrying.
            if is_transient(error):
                return self._tried_again(once, error)
            raise_translated(error)
        finally:
            RUNNING.end(outer)

    def _tried_again(self, once: Callable[[], T], first: Exception) -> T:
        try:
            return self._retrying(once)
        except Exception as last:  # noqa: BLE001 - as above
            # That there was no time left for one more try is not why the first one failed.
            raise_translated(first if is_silence(last) else last)


def _call_is_over(state: RetryCallState) -> bool:
    """Return whether there is no time left for another try."""
    tried_for = state.seconds_since_start or 0.0
    return RUNNING.left() <= 0 or tried_for >= RUNNING.answer


def _done_in(opened: AbstractContextManager[C], work: Callable[[C], T], point: str) -> T:
    with opened as connection:
        result = work(connection)
        if point:
            reached(f"{point}.before")
    if point:
        reached(f"{point}.after")
    return result
