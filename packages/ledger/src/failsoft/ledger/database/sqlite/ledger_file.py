"""The file of a SQLite ledger: opened by SQLite alone, and watched for as long as it is open.

A process that opens and closes the file by itself drops its own locks on it, and one that is
forked has none: other processes then delete the log that it goes on writing to. Both are read from
the kernel here, and so is a file that is no longer the one at its path; see
docs/how-to/ledger-sqlite.md.
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

from failsoft.job_engine.errors import LedgerForkedError, LedgerUnavailableError
from failsoft.ledger.database import forks
from failsoft.ledger.database.call_limit import RUNNING
from failsoft.ledger.database.sqlite.descriptors import Locks
from failsoft.ledger.database.sqlite.file_identity import Identity, Names, locks_of
from failsoft.ledger.database.sqlite.private_file import expect_usable, no_ledger
from failsoft.ledger.database.weak_registry import WeakRegistry

logger: logging.Logger = logging.getLogger("failsoft.ledger")

#: How often the file is checked to be whole and its locks to be held, in seconds; a commit checks
#: the file besides.
LOOK_SECONDS = 0.1
#: How long a file that has changed waits for connections in use, in seconds. A fork waits as much
#: longer as a call may take: a child that is forked in the middle of one is refused for good.
PATIENCE_SECONDS = 0.5
#: How long a call that begins lets go first what waits for connections in use, in seconds. It may
#: be one within another of its thread, whose connection is waited for.
YIELD_SECONDS = 0.05
#: What a connection of the caller's is known by.
_KNOWN = "failsoft_ledger_file"


class User(Protocol):
    """What has connections to a file."""

    def release_idle(self) -> None:
        """Close the connections that are not in use."""
        ...

    def has_turn(self) -> bool:
        """Return whether this thread is in the middle of a transaction."""
        ...

    @property
    def longest_call(self) -> float:
        """How long a call may use a connection, in seconds."""
        ...


class LedgerConnection(sqlite3.Connection):
    """A connection that its file keeps track of until it is closed.

    Attributes:
        file: The file.
        inode: The database at the path before it was opened.
        is_recognised: Whether it has read from the file at the path.
        is_closing: Whether it is closed, or is being closed.
    """

    def __init__(
        self,
        database: str,
        *,
        file: "LedgerFile",
        prepare: Callable[[sqlite3.Connection], None],
        **options: Any,
    ) -> None:
        """Open the file, which is never made here.

        Args:
            database: Its path as it was spelled; the file resolves it.
            file: The file.
            prepare: Sets the connection up, and reads: with that SQLite takes its lock.
            options: The other arguments of `sqlite3.Connection`.

        Raises:
            LedgerForkedError: The process has no locks of its own.
            LedgerSchemaError: There is no file.
            LedgerUnavailableError: The file has changed, and something of the old one is open.
            sqlite3.Error: SQLite cannot open it.
        """
        self.file: LedgerFile = file
        self.inode: int | None = None
        self.is_recognised: bool = False
        self.is_closing: bool = False
        self._cursors: WeakRegistry[sqlite3.Cursor] = WeakRegistry()
        with file.opening(self):
            super().__init__(file.uri, uri=True, **options)
        try:
            prepare(self)
            file.recognise(self)
        except BaseException:
            self.close()
            raise

    @property
    def keeps_log(self) -> bool:
        """Whether no other connection deletes the log as it closes.

        SQLite does that when the last one which has read is closed; until then it goes by its lock.
        """
        return self.is_recognised and not self.is_closing

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Return a cursor, which is closed with the connection at the latest."""
        made = super().cursor(*args, **options)
        self._cursors.add(made)
        return made

    def execute(self, *args: Any) -> sqlite3.Cursor:
        """Execute a statement by a cursor of its own."""
        # The driver's own method makes one that `cursor` does not see.
        made: sqlite3.Cursor = self.cursor().execute(*args)
        return made

    def close(self) -> None:
        """Close it; a log is not copied into a file that others may have written to."""
        # SQLite keeps the file and its index open for a statement that is not done with, as one in
        # the traceback of an error that is kept: the next connection would share the old index.
        for cursor in self._cursors:
            cursor.close()
        if not self.file.may_copy_log():
            # SQLite would. It gives that up when it is interrupted, and nothing else runs here.
            self.interrupt()
        self.is_closing = True
        super().close()
        self.file.forget(self)


class LedgerFile:
    """A file that this process opens as a ledger, there or not yet: one for each path.

    Attributes:
        path: Its path, without symbolic links.
        uri: The same for SQLite.
        is_lost: Whether what is open is not what is at the path.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.is_lost: bool = False
        self.uri: str = f"file:{quote(str(path))}?mode=rw"
        self._names = Names(path)
        self._users: WeakRegistry[User] = WeakRegistry()
        self._open: WeakRegistry[LedgerConnection] = WeakRegistry()
        self._of_parent: list[LedgerConnection] = []
        self._identity: Identity | None = None
        # One that was there and is missing is away: it may be brought back.
        self._was_there = False
        self._locks: Locks | None = None
        self._lost: Identity | None = None
        self._next_look = 0.0
        # While it is held no connection is opened: a fork holds it, and waits for those that are.
        # So who has one waits for the other lock alone, which a fork takes last.
        self._gate = threading.RLock()
        self._lock = threading.RLock()
        # Cleared while something waits for connections in use to come back.
        self._is_calm = threading.Event()
        self._is_calm.set()
        forks.bring_across_forks(self)

    def add_user(self, user: User) -> None:
        """Have a user close what it has open when that must be."""
        self._users.add(user)

    @contextmanager
    def opening(self, connection: LedgerConnection) -> Iterator[None]:
        """Let a connection be opened, and know of it."""
        with self._at_the_gate(), self._lock:
            self._expect_own_table()
            if self.is_lost:
                self._expect_another_log()
            elif not self._was_there and not self.path.exists():
                raise no_ledger(self.path)
            if not any(self._open):
                self._identity = None
            connection.inode = self._names.database_inode()
            yield
            self._open.add(connection)

    def forget(self, connection: LedgerConnection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)

    def recognise(self, opened: LedgerConnection) -> None:
        """Take what a connection has opened for the file, or notice that it is another one."""
        with self._lock:
            found = self._names.identity()
            if found != self._identity and not any(each.keeps_log for each in self._open):
                # The last one beside it was closed before it had read, and took the log along.
                self._identity = None
            if found is None or found.database != opened.inode:
                self._lose()
            if self._identity is None:
                self._expect_locks(found)
                self._identity, self._was_there = found, True
                self.expect_whole()
                self._next_look = time.monotonic() + LOOK_SECONDS
                if self.is_lost:
                    self.is_lost, self._lost = False, None
                    logger.warning("the ledger's file %s is whole again", self.path)
            elif found != self._identity:
                self._lose()
            opened.is_recognised = True

    def may_copy_log(self) -> bool:
        """Return whether what a connection has logged goes well with what is at the path."""
        return self._lost is None or self._names.is_as_before(self._lost)

    def ready(self) -> None:
        """Look after the file before a connection is used, now and then.

        Raises:
            LedgerUnavailableError: What is open is not what is at the path.
        """
        if not self._is_calm.is_set():
            # A thread that begins the next call as soon as one has ended would leave no moment
            # without a connection in use.
            self._is_calm.wait(YIELD_SECONDS)
        if self.is_lost or time.monotonic() >= self._next_look:
            self._look()

    def expect_whole(self) -> None:
        """Make sure before a commit that it goes to what is at the path.

        Raises:
            LedgerUnavailableError: It does not; what is not in use is closed.
        """
        identity = self._identity
        if identity is None or not self._names.are_those_of(identity):
            self._lose()

    def expect_kept(self) -> None:
        """Make sure after a commit that it went to what is at the path.

        Raises:
            LedgerUnavailableError: It did not, or may not have.
        """
        identity = self._identity
        if identity is None or not self._names.is_log_of(identity):
            self._lose()

    def release_idle(self) -> None:
        """Close every connection of this process that is not in use."""
        for user in self._users:
            user.release_idle()

    def expect_callers(self, info: MutableMapping[Any, Any], read: Callable[[], object]) -> None:
        """Make sure that a connection which is not ours works on what is at the path.

        Args:
            info: What is kept with that connection.
            read: Reads something through it.

        Raises:
            LedgerForkedError: The process has no locks of its own.
            LedgerUnavailableError: It works on something else.
        """
        known = (os.getpid(), self._names.identity())
        if info.get(_KNOWN) == known:
            return
        if _KNOWN in info and info[_KNOWN][0] == known[0]:
            raise _changed(self.path)
        self._expect_own_table()
        read()
        identity = self._names.identity()
        if identity is None:
            raise _changed(self.path)
        self._expect_locks(identity)
        info[_KNOWN] = (os.getpid(), identity)

    def is_part(self, path: Path) -> bool:
        """Return whether a path leads to the file, its log or the index of that."""
        return self._names.include(path)

    def before_fork(self) -> None:
        """Close what can be closed; until the fork is over, nothing is opened."""
        self._gate.acquire()
        if any(self._open):
            users = list(self._users)
            is_within_call = any(each.has_turn() for each in users)
            longest = max((each.longest_call for each in users), default=0.0)
            self._close_all(0.0 if is_within_call else PATIENCE_SECONDS + longest)
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Open connections again on demand."""
        self._lock.release()
        self._gate.release()

    def after_fork_in_child(self) -> None:
        """Begin anew; what was open at the fork is never touched, not even to be closed."""
        self._of_parent += self._open
        self._open = WeakRegistry()
        self._identity = self._locks = self._lost = None
        self.is_lost = False
        self._gate, self._lock = threading.RLock(), threading.RLock()
        self._is_calm = threading.Event()
        self._is_calm.set()

    @contextmanager
    def _at_the_gate(self) -> Iterator[None]:
        """Open a connection while no fork waits for those in use, within the call's time."""
        left = RUNNING.left()
        if not self._gate.acquire(timeout=-1 if left == inf else max(left, 0.0)):
            raise LedgerUnavailableError(
                f"expected a connection to {self.path} in time, got none: this process is about "
                "to be forked, and waits for a transaction of another thread; try again"
            )
        try:
            yield
        finally:
            self._gate.release()

    def _look(self) -> None:
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self.is_lost:
            with self._lock:
                self._expect_all_closed()
        elif self._identity is not None:
            kept = [each for each in self._open if each.keeps_log]
            is_there = self._names.identity() == self._identity
            are_held = self._locks is None or self._locks.are_held()
            # What the last of them has closed meanwhile, it has deleted and unlocked itself.
            if any(each.keeps_log for each in kept):
                if not is_there:
                    self._lose()
                if not are_held:
                    self._take_locks_anew(self._identity, kept)

    def _lose(self) -> NoReturn:
        with self._lock:
            if not self.is_lost:
                self.is_lost, self._lost = True, self._identity
                logger.error("%s", _changed(self.path))
        self.release_idle()
        raise _changed(self.path)

    def _expect_another_log(self) -> None:
        self._expect_all_closed()
        if self._lost is not None and self._names.keep_log_of(self._lost):
            raise LedgerUnavailableError(
                f"expected no log of another file beside {self.path}, got one that belongs to the "
                "file which was there before; stop every process that has it open, then move "
                f"{self._names.log} and {self._names.index} away"
            )

    def _expect_all_closed(self) -> None:
        if not self._close_all(PATIENCE_SECONDS):
            raise _changed(self.path)

    def _close_all(self, patience: float) -> bool:
        """Close every connection, the ones in use when they come back; say whether none is left."""
        ends = time.monotonic() + patience
        self._is_calm.clear()
        try:
            self.release_idle()
            while any(self._open):
                if time.monotonic() >= ends:
                    return False
                time.sleep(0.001)
                self.release_idle()
            return True
        finally:
            self._is_calm.set()

    def _expect_own_table(self) -> None:
        if self._of_parent:
            raise LedgerForkedError(
                f"expected no connection to {self.path} in use when this process was forked, got "
                f"{len(self._of_parent)}: SQLite cannot lock the file here; fork while no "
                "transaction is open, or start the process by spawn"
            )

    def _expect_locks(self, identity: Identity) -> None:
        locks = locks_of(identity)
        if locks is None:
            return
        if not locks.are_all_open:
            raise _changed(self.path)
        if not locks.are_held():
            raise LedgerForkedError(
                f"expected this process to hold SQLite's locks on {self.path}, got none: a "
                "connection to it that is not the ledger's was open when this process was forked, "
                "or the file was opened and closed here beside SQLite; dispose of the "
                "application's own engine on it (before a fork), or start the process by spawn"
            )
        self._locks = locks

    def _take_locks_anew(self, identity: Identity, kept: Iterable[LedgerConnection]) -> None:
        with self._lock:
            # They may be held through other descriptors than before.
            locks = self._locks = locks_of(identity)
            is_without = locks is not None and not locks.are_held()
            if is_without and any(each.keeps_log for each in kept):
                logger.warning(
                    "expected SQLite's locks on the ledger's file %s, got none: something in this "
                    "process opened and closed it beside SQLite; its connections are opened anew",
                    self.path,
                )
                self._close_all(PATIENCE_SECONDS)


_files: WeakValueDictionary[Path, LedgerFile] = WeakValueDictionary()
_files_lock = forks.Lock()


def file_at(path: Path) -> LedgerFile:
    """Return this process's own of the file at a path, which is never made here.

    Raises:
        ConfigurationError: If it is none, or cannot be written.
    """
    real = Path(os.path.realpath(path))
    expect_usable(real)
    with _files_lock:
        found = _files.get(real)
        if found is None:
            found = _files[real] = LedgerFile(real)
        return found


def is_open_ledger(path: Path) -> bool:
    """Return whether a path leads to a file of a ledger that this process may have open."""
    with _files_lock:
        files = list(_files.values())
    return any(file.is_part(path) for file in files)


def _changed(path: Path) -> LedgerUnavailableError:
    return LedgerUnavailableError(
        f"expected the ledger's file {path}, with its -wal and -shm, to be the one that this "
        "process has open, got another one or none: it was deleted, replaced or restored while "
        "it was in use, or its locks were dropped; run `failsoft ledger verify`"
    )
