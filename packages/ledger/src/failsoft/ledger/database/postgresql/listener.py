"""Waiting for notifications of PostgreSQL's, over a connection of its own.

It is in no pool: a session that listens is lent to no other call. What is lost, with a connection
or before it listens, is found by the next look at the tables: a waiting caller looks now and
then in any case.
"""

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from failsoft.job_engine.errors import LedgerError

#: How long after a failure no new connection is tried, in seconds: meanwhile there are the looks.
RETRY_SECONDS = 5.0


class Listener:
    """Waits for notifications of one channel; for one thread.

    Attributes:
        is_notified: Whether it listens.
    """

    def __init__(
        self, engine: Engine, channel: str, bounded: Callable[[Callable[[], None]], None]
    ) -> None:
        """Open nothing yet.

        Args:
            engine: The engine whose kind of connections it takes.
            channel: The channel; letters, digits and underscores.
            bounded: Runs what talks to the server, for no longer than a call of the ledger may
                take; raises a `LedgerError`, or what the driver raised.
        """
        self._engine = engine
        self._channel = channel
        self._bounded = bounded
        self._connection: Any = None
        self.is_notified: bool = False
        self._retry_at = float("-inf")
        self._pid = os.getpid()

    def wait(self, seconds: float) -> bool:
        """Return whether there was a notification, as soon as there is, or the time is over.

        The first call after `rest`, or after the connection was lost, returns True as soon as it
        listens: what was committed before is not notified any more.
        """
        if self._connection is not None and self._pid != os.getpid():
            # It is the parent's: nothing may be sent over it, not even its end (rule 21).
            _of_the_parent.append(self._connection)
            self._connection, self.is_notified = None, False
        if self.is_notified:
            return self._receive(seconds)
        if time.monotonic() < self._retry_at or not self._listen():
            time.sleep(seconds)
            return False
        return True

    def rest(self) -> None:
        """Let the server send nothing until the next `wait`."""
        if self.is_notified:
            self.is_notified = False
            self._run(self._unlisten)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self.is_notified = self._connection, None, False
        if connection is not None and self._pid == os.getpid():
            with suppress(self._engine.dialect.loaded_dbapi.Error):
                connection.close()

    def _listen(self) -> bool:
        def listen() -> None:
            if self._connection is None:
                lent = self._engine.raw_connection()
                # For good: its place in the pool is free again.
                self._connection, self._pid = lent.dbapi_connection, os.getpid()
                lent.detach()
            self._connection.execute(f'LISTEN "{self._channel}"', prepare=False)

        self.is_notified = self._run(listen)
        return self.is_notified

    def _unlisten(self) -> None:
        self._connection.execute("UNLISTEN *", prepare=False)
        self._drain()

    def _receive(self, seconds: float) -> bool:
        waiting = select.poll()
        waiting.register(self._connection.fileno(), select.POLLIN)
        if not waiting.poll(seconds * 1000):
            return False
        # The end of the connection counts, too: nothing is known of what it would have said.
        self._run(self._drain)
        return True

    def _drain(self) -> None:
        server = self._connection.pgconn
        server.consume_input()
        while server.notifies() is not None:
            pass

    def _run(self, work: Callable[[], None]) -> bool:
        try:
            self._bounded(work)
        except (LedgerError, self._engine.dialect.loaded_dbapi.Error):
            self.close()
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return False
        return True


_of_the_parent: list[Any] = []
