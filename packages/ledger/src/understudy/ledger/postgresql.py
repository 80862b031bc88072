"""What PostgreSQL needs to be a ledger: READ COMMITTED, bounded waits, durable commits."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, event

from understudy.ledger.channel import Channel, Channels

T = TypeVar("T")

#: What connecting imports.
DRIVER = ("psycopg", "sqlalchemy.dialects.postgresql.psycopg")
#: No statement of the ledger takes longer; what does is an outage.
STATEMENT_TIMEOUT = timedelta(seconds=10)
#: No statement waits longer for a row than this.
LOCK_TIMEOUT = timedelta(seconds=5)

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


def engine_options(url: URL, connect_timeout: timedelta) -> dict[str, Any]:
    """Return the arguments of `create_engine`."""
    settings = {
        "statement_timeout": STATEMENT_TIMEOUT,
        "lock_timeout": LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT,
    }
    options = " ".join(f"-c {k}={int(v.total_seconds() * 1000)}" for k, v in settings.items())
    options += r" -c default_transaction_isolation=read\ committed"
    return {
        # Set once, when a connection is made: to switch it for each statement takes longer than
        # most of them. What is a transaction begins by itself.
        "isolation_level": "AUTOCOMMIT",
        "connect_args": {
            "connect_timeout": max(1, int(connect_timeout.total_seconds())),
            "options": options,
            "application_name": "understudy",
            "keepalives_idle": 30,
            "tcp_user_timeout": int(STATEMENT_TIMEOUT.total_seconds() * 1000),
        },
        "pool_size": 8,
        "max_overflow": 24,
        "pool_timeout": connect_timeout.total_seconds(),
        # What a connection has prepared is used again.
        "pool_use_lifo": True,
    }


def prepare(engine: Engine) -> None:
    """Begin every transaction; what only reads, or writes at once, has none."""
    event.listen(engine, "begin", _on_begin)


def reader(engine: Engine) -> Engine:
    """Return the engine for reading: each statement on its own, without BEGIN and ROLLBACK."""
    return engine.execution_options(understudy_reads=True)


class Writer:
    """Begins transactions that write."""

    def __init__(self, engine: Engine, channels: Channels) -> None:
        """Begin transactions of an engine."""
        self._engine = engine
        self._channels = channels

    def begin(self) -> AbstractContextManager[Connection]:
        """Begin a transaction; commit it at the end."""
        return self._engine.begin()

    def at_once(self, work: Callable[[Channel], T], before: Callable[[], None]) -> T:
        """Execute one statement, which is a transaction of its own.

        Args:
            work: Executes it.
            before: Called before: between it and its commit there is no moment.
        """
        with self._channels.take() as channel:
            before()
            return work(channel)


def _on_begin(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver.autocommit and not connection.get_execution_options().get("understudy_reads"):
        connection.exec_driver_sql(_BEGIN)
