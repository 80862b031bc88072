"""What PostgreSQL needs to be a ledger: READ COMMITTED, bounded calls, few connections."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.exc import ArgumentError

from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger.database.call_limit import RUNNING, CallLimit
from failsoft.ledger.database.joint import JointWrite, no_joint
from failsoft.ledger.database.pool import SPARE, LedgerPool, close_what_is_idle
from failsoft.ledger.database.postgresql.batches import Batches
from failsoft.ledger.database.postgresql.encoding import CLIENT, expect_utf8_client
from failsoft.ledger.database.postgresql.session import SessionSettings, options_of
from failsoft.ledger.database.raw_connections import RawConnection, RawConnections

T = TypeVar("T")

#: What connecting imports.
DRIVER = (
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "failsoft.ledger.database.postgresql.dialect",
)
#: What the URL says of a pooler between: `transaction`, or `session` where that is known.
POOLER = "pooler"
TRANSACTION = "transaction"
SESSION = "session"

#: Where a server listens unless the URL says otherwise.
PORT = 5432

_SEVERAL = re.compile(r"(postgres(?:ql)?(?:\+\w+)?://)([^/?@]*@)?([^/?@]*,[^/?@]*)(.*)")
_HAS_PORT = re.compile(r":\d+$")
_DIALECT = "postgresql.failsoft"

registry.register(_DIALECT, "failsoft.ledger.database.postgresql.dialect", "LedgerDialect")


def hosts_apart(text: str) -> str:
    """Return a URL in the form that SQLAlchemy reads, where several hosts stand in their place."""
    found = _SEVERAL.fullmatch(text)
    if found is None:
        return text
    scheme, user, hosts, rest = found.groups("")
    path, _, query = rest.partition("?")
    each = [host if _HAS_PORT.search(host) else f"{host}:{PORT}" for host in hosts.split(",")]
    pairs = [query] if query else []
    return f"{scheme}{user}{path}?{'&'.join([*pairs, *(f'host={host}' for host in each)])}"


def of_ledger(url: URL) -> URL:
    """Return the URL of a database with the ledger's driver, whichever driver it names.

    An application's own URL names its own, as asyncpg or psycopg2. What asyncpg calls `ssl` is
    `sslmode` with all others.
    """
    driver, query = url.get_driver_name() if "+" in url.drivername else "", dict(url.query)
    if driver == "asyncpg" and "ssl" in query:
        query.setdefault("sslmode", query.pop("ssl"))
    return url.set(drivername="postgresql+psycopg", query=query)


def create(url: URL, limit: CallLimit, *, connect_timeout: timedelta, pool: int) -> Engine:
    """Return an engine for a ledger; nothing is connected yet.

    Raises:
        ConfigurationError: If the URL contradicts itself.
    """
    options = _options(url, limit, connect_timeout)
    try:
        engine = create_engine(engine_url(url), pool_size=pool + SPARE, **options)
    except ArgumentError as error:
        raise ConfigurationError(
            f"expected a ledger URL like postgresql://user@host/db, got one whose {error}"
        ) from error
    dialect: Any = engine.dialect
    dialect.expect_known(engine_url(url).query)
    dialect.session = _session(url, limit)
    return engine


def engine_url(url: URL) -> URL:
    """Return the URL of an engine whose connections are the ledger's."""
    return url.difference_update_query([POOLER]).set(drivername=_DIALECT.replace(".", "+"))


def _options(url: URL, limit: CallLimit, connect_timeout: timedelta) -> dict[str, Any]:
    ours: Mapping[str, object] = {
        "application_name": "failsoft",
        "client_encoding": CLIENT,
        "connect_timeout": max(2, int(connect_timeout.total_seconds())),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": max(1, int(limit.whole * 1000)),
    }
    return {
        # Set once, when a connection is made: to switch it for each statement takes longer than
        # most of them. What is a transaction begins by itself.
        "isolation_level": "AUTOCOMMIT",
        # The user's come first: what the URL sets is not replaced.
        "connect_args": {name: value for name, value in ours.items() if name not in url.query},
        "use_native_hstore": False,
        "poolclass": LedgerPool,
        "max_overflow": 0,
        "pool_timeout": limit.whole,
        # What a connection has prepared is used again.
        "pool_use_lifo": True,
    }


def _session(url: URL, limit: CallLimit) -> SessionSettings:
    pooler = url.query.get(POOLER)
    if pooler not in (None, TRANSACTION, SESSION):
        raise ConfigurationError(
            f"expected pooler=transaction or pooler=session in FAILSOFT_LEDGER_URL, got {pooler}"
        )
    options = options_of(url.query)
    expect_utf8_client(url.query, options)
    return SessionSettings(limit, options, pooler == TRANSACTION, is_trusted=pooler == SESSION)


def prepare(engine: Engine, raw_connections: RawConnections, idle: timedelta) -> None:
    """Begin every transaction; what only reads, or writes at once, has none but in a pooler."""
    dialect: Any = engine.dialect
    session: SessionSettings = dialect.session
    if session.is_pooled:
        raw_connections.begin = session.begin
    pool: Any = engine.pool
    pool.give_back = raw_connections.give_back
    close_what_is_idle(engine, raw_connections.close_idle, idle)

    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        reads = connection.get_execution_options().get("failsoft_reads")
        if not driver.autocommit or (reads and not session.is_pooled):
            return
        longer = RUNNING.statement
        connection.exec_driver_sql(session.begin if longer is None else session.begin_with(longer))

    event.listen(engine, "begin", begin)


def reader(engine: Engine) -> Engine:
    """Return the engine for reading: each statement on its own, without BEGIN and ROLLBACK."""
    return engine.execution_options(failsoft_reads=True)


class Writer:
    """Begins transactions that write."""

    def __init__(self, engine: Engine, raw_connections: RawConnections) -> None:
        self._engine = engine
        self._raw_connections = raw_connections
        self._batches = Batches(raw_connections.take)

    def begin(self) -> AbstractContextManager[Connection]:
        """Begin a transaction; commit it at the end."""
        return self._engine.begin()

    def at_once(
        self,
        work: Callable[[RawConnection], T],
        before: Callable[[], None],
        joint: Callable[[], JointWrite[T] | None] = no_joint,
    ) -> T:
        """Execute one statement, which is a transaction of its own.

        Args:
            work: Executes it.
            before: Called before: between it and its commit there is no moment.
            joint: Returns the same as a part of a statement that writes for several threads.
        """
        together = joint()
        before()
        if together is None:
            return self._alone(work)
        return self._batches.write(together, lambda: self._alone(work))

    def _alone(self, work: Callable[[RawConnection], T]) -> T:
        with self._raw_connections.take() as raw:
            return work(raw)
