"""Connections for prepared statements alone: SQLAlchemy's own is set up for any statement."""

from collections import deque
from typing import Any, Self
from weakref import WeakSet

from sqlalchemy import Dialect, Engine, PoolProxiedConnection, event

from understudy.ledger.errors import as_sqlalchemy

#: How many are kept at hand.
MOST_IDLE = 8


class Channels:
    """The channels of one engine that are at hand.

    To take a connection from the pool and give it back takes longer than most statements.
    """

    def __init__(self, engine: Engine) -> None:
        """Keep channels of an engine; nothing is connected yet."""
        self._engine = engine
        self._idle: deque[Channel] = deque()
        event.listen(engine, "engine_disposed", lambda _: self.close())
        _everybodys.add(self)

    def take(self) -> "Channel":
        """Return the channel that was used last, or a new one.

        Raises:
            DBAPIError: The database cannot be reached.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return Channel(self._engine, self)

    def put(self, channel: "Channel") -> None:
        """Keep a channel that is in no transaction for whoever comes next."""
        if len(self._idle) < MOST_IDLE:
            self._idle.append(channel)
        else:
            channel.connection.close()

    def close(self) -> None:
        """Close every channel that nobody uses."""
        while self._idle:
            # Not given back: its pool may have been disposed of, and nobody would close it there.
            self._idle.pop().connection.invalidate()

    def leave_to_parent(self) -> None:
        """Forget the channels of the process that this one was forked from (rule 21)."""
        # Not even their finalizers may run here.
        _of_the_parent.append(self._idle)
        self._idle = deque()


class Channel:
    """What a prepared statement needs of a connection; left without an error, it is used again.

    Attributes:
        engine: The engine whose pool it was taken from.
        dialect: The database's.
        connection: The driver's, as the pool lends it.
        cursor: The driver's, one for every statement: to make one takes as long as a short one.
    """

    def __init__(self, engine: Engine, home: Channels) -> None:
        """Take a connection from the pool.

        Raises:
            DBAPIError: The database cannot be reached.
        """
        self.engine: Engine = engine
        self.dialect: Dialect = engine.dialect
        self._home = home
        try:
            self.connection: PoolProxiedConnection = engine.raw_connection()
            self.cursor: Any = self.connection.cursor()
        except engine.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, "connecting", self.dialect) from error

    def invalidate(self, exception: BaseException | None = None) -> None:
        """Never use the connection again, nor those at hand: they are as old."""
        self.connection.invalidate(exception)
        self._home.close()

    def execute(self, text: str) -> None:
        """Execute one of the statements around a transaction.

        Raises:
            DBAPIError: It failed.
        """
        driver: Any = self.connection.dbapi_connection
        try:
            driver.execute(text)
        except self.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, text, self.dialect, driver) from error

    def __enter__(self) -> Self:
        """Return the channel."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Keep it at hand; after an error the pool takes it, and rolls back."""
        if error is None:
            self._home.put(self)
        else:
            self.connection.close()


_everybodys: WeakSet[Channels] = WeakSet()
_of_the_parent: list[deque[Channel]] = []


def leave_all_to_parent() -> None:
    """Forget every channel of the process that this one was forked from (rule 21)."""
    for channels in list(_everybodys):
        channels.leave_to_parent()
