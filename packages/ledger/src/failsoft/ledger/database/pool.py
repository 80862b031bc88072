"""The pool of connections to PostgreSQL: few, and fewer when they are not used.

A connection of PostgreSQL's is a process of the server, of which there are a hundred by default.
What has not been used for a while is closed; an idle program keeps what its own looks at the
ledger use.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from math import inf
from time import monotonic
from typing import Any, cast
from weakref import ref

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty, Full

from failsoft.ledger.database.call_limit import RUNNING

#: How long a connection may be idle.
IDLE = timedelta(seconds=30)
#: How often the idle ones are looked for, in a share of that.
LOOK_SHARE = 1 / 6
#: How many connections beyond its size a pool has for calls within calls, as a dispatch in a
#: `tx` step. They are kept like the others: one that is closed while calls wait for one is opened
#: anew at once, and counted twice by the server until it has ended the first.
SPARE = 2

_SINCE = "failsoft_idle_since"


class LedgerPool(QueuePool):
    """A pool that waits no longer than the call may take, and closes what is idle.

    Attributes:
        give_back: Gives back what is kept at hand outside the pool.
        longest: How long a call waits for a connection at most, in seconds.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._waiting: list[None] = []
        self.give_back: Callable[[], None] = _nothing
        super().__init__(*args, **options)

    @property
    def is_wanted(self) -> bool:
        """Whether a thread waits for a connection."""
        return bool(self._waiting)

    def close_idle(self, before: float = inf) -> None:
        """Close the connections that were given back before a moment of the steady clock.

        Those in use are still counted, and come back; `dispose` would forget them.
        """
        found = list[ConnectionPoolEntry]()
        with suppress(Empty):
            while True:
                found.append(self._pool.get(block=False))
        # The one that was used last is taken first, so it goes back last.
        for record in reversed(found):
            if record.dbapi_connection is None or record.info.get(_SINCE, inf) < before:
                record.close()
                self._dec_overflow()
            else:
                with suppress(Full):
                    self._pool.put(record, block=False)

    def recreate(self) -> "LedgerPool":
        """Return a pool like this one, for the same engine."""
        made = cast("LedgerPool", super().recreate())
        made.give_back = self.give_back
        # Not as short as what is left of the call that this is in.
        made.longest = self.longest
        return made

    def _do_get(self) -> ConnectionPoolEntry:
        missing = -self._overflow
        if not self.checkedin() and missing <= SPARE:
            # What is at hand comes before one of the spare ones.
            self.give_back()
        if self.checkedin() or missing > 0:
            return super()._do_get()
        self._waiting.append(None)
        try:
            # From here on none is kept at hand: see `RawConnections.put`.
            self.give_back()
            return super()._do_get()
        finally:
            self._waiting.pop()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        record.info[_SINCE] = monotonic()
        super()._do_return_conn(record)

    @property
    def _timeout(self) -> float:
        return max(0.0, min(self.longest, RUNNING.left()))

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self.longest: float = seconds


def close_what_is_idle(
    engine: Engine, raw_connections: Callable[[float], None], idle: timedelta
) -> None:
    """Close the idle connections of an engine from now on, in a thread that ends with them.

    Args:
        engine: An engine whose pool is a `LedgerPool`.
        raw_connections: Closes the raw_connections that were put back before a moment.
        idle: How long one may be idle.
    """
    caretaker = _Caretaker(engine, raw_connections, idle.total_seconds())
    event.listen(engine, "connect", lambda driver, record: caretaker.begin())


class _Caretaker:
    """The thread of one engine; it runs while there are connections."""

    def __init__(
        self, engine: Engine, raw_connections: Callable[[float], None], idle: float
    ) -> None:
        self._engine = ref(engine)
        self._idle = idle
        self._raw_connections = raw_connections
        self._lock = threading.Lock()
        self._is_running = False
        self._pid = os.getpid()

    def begin(self) -> None:
        """Let the thread run; called when there is a connection."""
        if self._pid != os.getpid():
            # The thread did not come along, and it may have had the lock.
            self._lock, self._is_running, self._pid = threading.Lock(), False, os.getpid()
        with self._lock:
            if self._is_running:
                return
            self._is_running = True
        threading.Thread(target=self._run, name="failsoft-idle", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while self._look():
            pause.wait(self._idle * LOOK_SHARE)

    def _look(self) -> bool:
        engine = self._engine()
        if engine is None or not isinstance(engine.pool, LedgerPool):
            return False
        before = monotonic() - self._idle
        self._raw_connections(before)
        engine.pool.close_idle(before)
        with self._lock:
            # A connection that is being made counts as checked out.
            self._is_running = engine.pool.checkedin() + engine.pool.checkedout() > 0
            return self._is_running


def _nothing() -> None:
    """Give nothing back."""
