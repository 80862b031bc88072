"""What SQLite needs to be a ledger: durable, one writer at a time, one host."""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import OperationalError
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from failsoft.job_engine.errors import ConfigurationError, LedgerUnavailableError
from failsoft.ledger.database.joint import JointWrite, no_joint
from failsoft.ledger.database.raw_connections import RawConnection, RawConnections
from failsoft.ledger.database.sqlite.ledger_file import LedgerConnection, LedgerFile, file_at
from failsoft.ledger.database.sqlite.mounts import file_system
from failsoft.ledger.database.sqlite.write_queue import PendingWrite, WriteQueue

T = TypeVar("T")

#: What connecting imports.
DRIVER = ("sqlalchemy.dialects.sqlite.pysqlite",)
#: What a URL may begin with; an application's own may name another driver than the ledger's.
DRIVERS = ("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite")
#: How long a writer waits for another one.
BUSY_TIMEOUT = timedelta(seconds=10)

_BEGIN = "BEGIN IMMEDIATE"
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "ceph"})


def engine_options(url: URL, connect_timeout: timedelta) -> dict[str, Any]:
    """Return the arguments of `create_engine`; the file need not be there yet."""
    return {
        "connect_args": {
            "timeout": BUSY_TIMEOUT.total_seconds(),
            "isolation_level": None,
            "check_same_thread": False,
            "factory": LedgerConnection,
            "file": file_of(url),
            "prepare": _prepare,
        },
        "pool_size": 8,
        "max_overflow": 24,
        "pool_timeout": connect_timeout.total_seconds(),
        # What a connection has in its caches is used again.
        "pool_use_lifo": True,
    }


def file_of(url: URL) -> LedgerFile:
    """Return the file of a ledger, which need not be there yet.

    Raises:
        ConfigurationError: It cannot be one, or its folder cannot hold one.
    """
    path = Path(str(url.database))
    _refuse_unsafe_folder(path.resolve().parent)
    return file_at(path)


def prepare(engine: Engine) -> None:
    """Begin every transaction as a writer (rule 20, R29), and commit to the file at its path."""
    file = file_of(engine.url)

    def expect_whole(_: Connection) -> None:
        file.expect_whole()

    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "commit", expect_whole)


def reader(engine: Engine) -> Engine:
    """Return the engine for reading: no transaction, so no writer is kept waiting."""
    return engine.execution_options(failsoft_reads=True)


class Writer:
    """Begins transactions that write: those of one process in turn.

    SQLite lets a writer that finds another one sleep and look again, for longer each time, so
    that threads which write much would mostly sleep. Here they queue, and the one that has the turn
    commits what others have to write with its own: the disk is waited for once. Between processes
    SQLite decides, and it also decides when a turn does not come.
    """

    def __init__(self, engine: Engine, raw_connections: RawConnections) -> None:
        self._engine = engine
        self._raw_connections = raw_connections
        self._file = file_of(engine.url)
        self._reset()

    def has_turn(self) -> bool:
        """Return whether this thread is in the middle of a transaction."""
        return self._pid == os.getpid() and self._write_queue.is_mine()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction when it is this thread's turn; commit it at the end.

        Raises:
            LedgerUnavailableError: The file is no longer the one at its path.
        """
        self._file.ready()
        alone, write_queue = (
            PendingWrite[RawConnection, None](_nothing, is_shared=False),
            self._queue(),
        )
        try:
            write_queue.acquire(alone)
            with self._engine.connect() as connection:
                with connection.begin():
                    yield connection
                # Before it is given back: another thread may close it then, as the last one.
                self._file.expect_kept()
        except LedgerUnavailableError:
            # What was in use when the file was found to be another one is open still.
            self._file.release_idle()
            raise
        finally:
            # An interrupt may also come at the first line of `leave`.
            try:
                write_queue.leave(alone)
            except BaseException:
                write_queue.leave(alone)
                raise

    def at_once(
        self,
        work: Callable[[RawConnection], T],
        before: Callable[[], None],
        joint: Callable[[], JointWrite[T] | None] = no_joint,
    ) -> T:
        """Commit the work of prepared statements, in this thread's transaction or another's.

        Args:
            work: Executes them; see `Write` for what it must not do.
            before: Called before the commit.
            joint: Not called: a statement costs little here, and the commit is shared already.

        Raises:
            LedgerUnavailableError: The file is no longer the one at its path.
        """
        self._file.ready()

        def whole(raw: RawConnection) -> T:
            result = work(raw)
            before()
            return result

        write, write_queue = PendingWrite(whole), self._queue()
        try:
            if write_queue.acquire(write):
                self._commit_with_others(write, write_queue)
            elif not write.is_done:
                self._commit(write)
        except LedgerUnavailableError:
            # What was in use when the file was found to be another one is open still.
            self._file.release_idle()
            raise
        finally:
            try:
                write_queue.leave(write)
            except BaseException:
                write_queue.leave(write)
                raise
        return write.result

    def _commit_with_others(
        self, write: PendingWrite[RawConnection, Any], write_queue: WriteQueue[RawConnection]
    ) -> None:
        try:
            self._commit(write, write_queue)
        except Exception:
            if not write_queue.has_others:
                raise
        else:
            return
        # It may be another's fault: each commits its own.
        write_queue.give_others_back()
        self._commit(write)

    def _commit(
        self,
        write: PendingWrite[RawConnection, Any],
        write_queue: WriteQueue[RawConnection] | None = None,
    ) -> None:
        with self._raw_connections.take() as raw:
            begin(raw.cursor)
            write.run(raw)
            if write_queue is not None:
                # Only now: what has failed by then is this one's own.
                for each in write_queue.take_batch():
                    each.run(raw)
            self._file.expect_whole()
            if write_queue is None:
                raw.execute("COMMIT")
                self._file.expect_kept()
            else:
                _commit_and_tell(raw, write_queue, self._file)

    def _queue(self) -> WriteQueue[RawConnection]:
        if self._pid != os.getpid():
            # Forked while another thread of the parent had its turn.
            self._reset()
        return self._write_queue

    def _reset(self) -> None:
        self._write_queue = WriteQueue[RawConnection](BUSY_TIMEOUT)
        # Last: until then no thread of a child goes on with the queue of its parent.
        self._pid = os.getpid()


def _nothing(_: RawConnection) -> None:
    """Leave the writing to the caller that begins the transaction."""


def _commit_and_tell(
    raw: RawConnection, write_queue: WriteQueue[RawConnection], file: LedgerFile
) -> None:
    driver: Any = raw.connection.dbapi_connection
    try:
        raw.execute("COMMIT")
        file.expect_kept()
    except Exception:
        raise
    except BaseException as interrupt:
        # Without an error before it, it came after the commit, which others need not repeat.
        if interrupt.__context__ is None and not driver.in_transaction:
            write_queue.finish_others()
        raise
    write_queue.finish_others()


def begin(driver: Any) -> None:
    """Begin a transaction as the only writer; wait for another process that writes.

    A deferred transaction that reads and then writes fails with SQLITE_BUSY at once (DB-01).

    Raises:
        OperationalError: The other one did not end in time, or the file cannot be written.
    """
    try:
        _execute_begin(driver)
    except sqlite3.Error as error:
        raise OperationalError(_BEGIN, None, error) from error


def _execute_begin(driver: Any) -> None:
    try:
        driver.execute(_BEGIN)
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        _until_free(driver.execute, _BEGIN)


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


#: SQLite's own wait sleeps for up to a tenth of a second between two looks; a commit takes less
#: than a thousandth.
_until_free = Retrying(
    retry=retry_if_exception(_is_busy),
    wait=wait_random_exponential(multiplier=0.0005, max=0.005),
    stop=stop_after_delay(BUSY_TIMEOUT),
    reraise=True,
)


def prepare_driver(connection: sqlite3.Connection) -> None:
    """Give a connection the function that the ledger's statements call."""
    # Nothing of Python's runs in it: an interrupt there would be lost as an error of SQLite's.
    connection.create_function("failsoft_now_ns", 0, time.time_ns)


def _prepare(connection: sqlite3.Connection) -> None:
    prepare_driver(connection)
    # SQLite itself does not wait for another connection that does the same to a new file (DB-09).
    _until_free(connection.execute, "PRAGMA journal_mode=WAL").close()
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    # SQLite takes its lock, and opens the log, with the first read: it waits for who makes the log.
    connection.execute("SELECT count(*) FROM sqlite_master").close()
    # From then on only a beginning write waits for others, in the write queue.
    connection.execute("PRAGMA busy_timeout=0").close()


def _on_begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("failsoft_reads"):
        begin(connection.connection.dbapi_connection)


def _refuse_unsafe_folder(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            f"expected an existing folder for the ledger file, got {folder}: {error.strerror}"
        ) from error
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise ConfigurationError(
            f"expected a folder that only its owner writes, got {folder}, which everybody may; "
            f"run `chmod o-w {folder}`"
        )
    kind = file_system(folder)
    if kind in _NETWORK:
        raise ConfigurationError(
            f"expected a local disk for a SQLite ledger, got {folder} on {kind}; use PostgreSQL "
            "where there is more than one host"
        )
