"""Connections for prepared statements alone: SQLAlchemy's own is set up for any statement."""

from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from sqlalchemy import Dialect, Engine, PoolProxiedConnection, event
from sqlalchemy.exc import DBAPIError

from failsoft.ledger.database.errors import as_sqlalchemy
from failsoft.ledger.database.pool import LedgerPool
from failsoft.ledger.database.weak_registry import WeakRegistry

#: How many are kept at hand.
MOST_IDLE = 8


class RawConnections:
    """The connections of one engine that are at hand.

    To take a connection from the pool and give it back takes longer than most statements.
    """

    def __init__(self, engine: Engine, begin: str = "") -> None:
        """Keep connections of an engine; nothing is connected yet.

        Args:
            engine: The engine.
            begin: What begins a transaction around each use; without it there is none.
        """
        self._engine = engine
        self.begin: str = begin
        self._idle: deque[RawConnection] = deque()
        event.listen(engine, "engine_disposed", lambda _: self.close())
        event.listen(engine, "invalidate", self._on_invalidate)
        _everybodys.add(self)

    def take(self) -> "RawConnection":
        """Return the connection that was used last, or a new one.

        Raises:
            DBAPIError: The database cannot be reached.
        """
        try:
            return self._idle.pop()
        except IndexError:
            # Made outside of it: whatever goes wrong then has nothing to do with an empty deque.
            pass
        return RawConnection(self._engine, self)

    def put(self, raw: "RawConnection") -> None:
        """Keep a connection that is in no transaction for the next call."""
        if len(self._idle) < MOST_IDLE and not self._is_wanted():
            raw.idle_since = monotonic()
            self._idle.append(raw)
            if self._is_wanted():
                # A thread began to wait for the pool meanwhile, and may not have seen this one.
                self.give_back()
        else:
            raw.connection.close()

    def give_back(self) -> None:
        """Give every connection that is at hand back to the pool."""
        with suppress(IndexError):
            while True:
                self._idle.pop().connection.close()

    def close_idle(self, before: float) -> None:
        """Close the connections that were put back before a moment of the steady clock."""
        with suppress(IndexError):
            while self._idle[0].idle_since < before:
                # What is used last is taken first, so the first is the oldest.
                self._idle.popleft().connection.invalidate()

    def close(self) -> None:
        """Close every idle connection."""
        # Another thread may take the last one meanwhile.
        with suppress(IndexError):
            while True:
                # Not given back: its pool may have been disposed of, and would leave it open.
                self._idle.pop().connection.invalidate()

    def _on_invalidate(self, driver: object, record: object, error: object) -> None:
        # After an error of one connection no other that is as old is trusted; an interrupt, or a
        # connection that was idle, says nothing of the others.
        if isinstance(error, self._engine.dialect.loaded_dbapi.Error):
            self.close()

    def _is_wanted(self) -> bool:
        pool = self._engine.pool
        return isinstance(pool, LedgerPool) and pool.is_wanted

    def leave_to_parent(self) -> None:
        """Forget the connections of the process that this one was forked from (rule 21)."""
        # Not even their finalizers may run here.
        _of_the_parent.append(self._idle)
        self._idle = deque()


class RawConnection:
    """What a prepared statement needs of a connection; left without an error, it is used again.

    Attributes:
        engine: The engine whose pool it was taken from.
        dialect: The database's.
        connection: The driver's, as the pool lends it.
        cursor: The driver's, one for every statement: to make one takes as long as a short one.
        idle_since: When it was put back, by the steady clock.
    """

    def __init__(self, engine: Engine, home: RawConnections) -> None:
        """Take a connection from the pool.

        Raises:
            DBAPIError: The database cannot be reached.
        """
        self.engine: Engine = engine
        self.dialect: Dialect = engine.dialect
        self._home = home
        self.idle_since: float = 0.0
        try:
            self.connection: PoolProxiedConnection = engine.raw_connection()
            self.cursor: Any = self.connection.cursor()
        except engine.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, "connecting", self.dialect) from error

    def invalidate(self, exception: BaseException | None = None) -> None:
        """Never use the connection again, nor those at hand: they are as old."""
        self.connection.invalidate(exception)
        self._home.close()

    def invalidate_all(self, exception: Exception) -> None:
        """Never use the connection again, nor any of the pool that is as old.

        Those are opened anew when they are taken. SQLAlchemy has no public name for it.
        """
        pool: Any = self.engine.pool
        pool._invalidate(self.connection, exception, _checkin=False)  # noqa: SLF001
        self.invalidate(exception)

    def execute(self, text: str) -> None:
        """Execute one of the statements around a transaction.

        Raises:
            DBAPIError: It failed.
        """
        try:
            self.cursor.execute(text)
        except self.dialect.loaded_dbapi.Error as error:
            driver: Any = self.connection.dbapi_connection
            raised = as_sqlalchemy(error, text, self.dialect, driver)
            if isinstance(raised, DBAPIError) and raised.connection_invalidated:
                self.invalidate_all(error)
            raise raised from error

    def __enter__(self) -> Self:
        """Return the connection."""
        if self._home.begin:
            try:
                self.execute(self._home.begin)
            except BaseException:
                self.connection.close()
                raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Keep it at hand; after an error the pool takes it, and rolls back."""
        if error is not None:
            self.connection.close()
            return
        if self._home.begin:
            try:
                self.execute("COMMIT")
            except BaseException:
                self.connection.close()
                raise
        self._home.put(self)


_everybodys: WeakRegistry[RawConnections] = WeakRegistry()
_of_the_parent: list[deque[RawConnection]] = []


def leave_all_to_parent() -> None:
    """Forget every connection of the process that this one was forked from (rule 21)."""
    for raw_connections in _everybodys:
        raw_connections.leave_to_parent()
