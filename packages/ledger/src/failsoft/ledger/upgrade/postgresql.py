"""Migrations on PostgreSQL while others read and write.

No statement is limited, for an index of a large table takes its time; but no lock that keeps
others waiting is waited for longer than a second, because all that come later queue behind it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_fixed,
    wait_random_exponential,
)

from failsoft.job_engine.errors import ConfigurationError, LedgerUnavailableError
from failsoft.ledger.database.postgresql.distributed import expect_one_server
from failsoft.ledger.database.postgresql.encoding import CLIENT, expect_utf8
from failsoft.ledger.database.postgresql.engine import POOLER
from failsoft.ledger.upgrade import operations
from failsoft.ledger.upgrade.scripts import Migration
from failsoft.ledger.upgrade.steps import IndexSpec, Progress, Report
from failsoft.ledger.upgrade.transactions import committed

#: How long a statement waits for a lock while others queue behind it.
LOCK_TIMEOUT = timedelta(seconds=1)
#: How often another session looks how far a build has come.
LOOK_EVERY = 0.5
#: The session lock of upgrades: "failsoft" in bytes, beside the digests of topics and keys.
UPGRADE_LOCK = int.from_bytes(b"understu", signed=True)

_LOCKED = frozenset({"55P03", "40P01"})
_SETTINGS = (
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET default_transaction_isolation = 'read committed'",
    f"SET lock_timeout = {int(LOCK_TIMEOUT.total_seconds() * 1000)}",
)
#: The server ends a build whose client was killed, and gives its locks back.
_WATCH_CLIENT = "SET client_connection_check_interval = 1000"
_WATCHES_CLIENT = 140_000

_HOLDER = text("""
    SELECT held.pid, activity.state, activity.application_name,
        extract(epoch FROM clock_timestamp() - activity.xact_start)::bigint AS seconds
    FROM pg_locks held JOIN pg_stat_activity activity USING (pid)
    WHERE held.relation = to_regclass(:table) AND held.granted AND held.pid <> pg_backend_pid()
    ORDER BY activity.xact_start NULLS LAST LIMIT 1
""")
_BUILD = text("""
    SELECT phase, lockers_done, lockers_total, current_locker_pid,
        blocks_done, blocks_total, tuples_done, tuples_total
    FROM pg_stat_progress_create_index WHERE pid = :pid
""")
_VALIDITY = text("""
    SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)
""")


def engine(url: URL) -> Engine:
    """Return an engine for upgrades: without the limits of the workers, and with few locks."""
    ours = {
        "connect_timeout": 10,
        "application_name": "failsoft ledger upgrade",
        "client_encoding": CLIENT,
        # Without a limit on statements these alone find out that the server's host is gone.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 6,
    }
    return create_engine(
        url.difference_update_query([POOLER]),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args={name: value for name, value in ours.items() if name not in url.query},
    )


def connect(engine: Engine, pooler: object) -> Connection:
    """Open a connection and set the limits of upgrades, whatever the role's or database's are.

    Args:
        engine: What `engine` returned.
        pooler: What the URL says of a pooler between.

    Raises:
        ConfigurationError: A pooler is between that may lend the session to others, the database
            cannot hold every text, or the server is a distributed one.
    """
    connection = engine.connect()
    driver: Any = connection.connection.dbapi_connection
    try:
        expect_utf8(connection)
        expect_one_server(driver)
    except BaseException:
        connection.close()
        raise
    itself = connection.exec_driver_sql("SELECT pg_catalog.pg_backend_pid()").scalar_one()
    if pooler != "session" and (pooler or itself != driver.info.backend_pid):
        connection.close()
        raise ConfigurationError(
            "expected PostgreSQL itself for an upgrade, whose lock and limits belong to a session, "
            "got a pooler between; name the server in FAILSOFT_LEDGER_URL for this command, or "
            "add pooler=session to its query if the pooler lends a session for good"
        )
    for setting in _SETTINGS:
        connection.exec_driver_sql(setting)
    if driver.info.server_version >= _WATCHES_CLIENT:
        connection.exec_driver_sql(_WATCH_CLIENT)
    return connection


def transaction(connection: Connection) -> AbstractContextManager[None]:
    """Begin a transaction on a connection that commits each statement; commit it at the end."""
    return committed(connection, lambda: connection.exec_driver_sql("BEGIN"))


@contextmanager
def alone(connection: Connection, report: Report, patience: timedelta) -> Iterator[None]:
    """Hold the lock of upgrades to the end; wait for another upgrade to end first.

    Raises:
        LedgerUnavailableError: It did not end in time.
    """
    tried = text("SELECT pg_try_advisory_lock(:key)")
    ended = threading.Event()
    began = monotonic()
    # Looked for, and not waited for: an index is not built to its end while a statement that
    # is as old, such as one that waits for this lock, has not ended.
    while not connection.execute(tried, {"key": UPGRADE_LOCK}).scalar_one():
        if monotonic() - began > patience.total_seconds():
            raise LedgerUnavailableError(
                f"expected the upgrade that is under way to end within {patience}, got no end of "
                "it; look for application_name 'failsoft ledger upgrade' in pg_stat_activity"
            )
        report(Progress("", "another upgrade", "waiting for it to end"))
        ended.wait(LOOK_EVERY)
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UPGRADE_LOCK})


class PostgresqlSteps:
    """`Steps` on PostgreSQL."""

    is_first = False

    def __init__(
        self, connection: Connection, migration: Migration, report: Report, patience: timedelta
    ) -> None:
        self.connection = connection
        self._revision = migration.revision
        self._report = report
        self._patience = patience

    def once(self, step: str, table: str, work: Callable[[], None]) -> None:
        """Do it in a transaction that waits for its lock for a second, again and again."""

        def attempt() -> None:
            with transaction(self.connection):
                work()

        self.report(step, "begun")
        self._until_unlocked(step, table, attempt)
        self.report(step, "done")

    @contextmanager
    def transaction(self, table: str) -> Iterator[None]:
        """Begin a transaction that waits for rows without a limit: no session queues behind it."""
        with transaction(self.connection):
            self.connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            yield

    def create_index(self, index: IndexSpec) -> None:
        """Build it concurrently; an invalid one is what a killed upgrade left, and built anew."""

        def attempt() -> None:
            valid = self.connection.execute(_VALIDITY, {"name": index.name}).scalar_one_or_none()
            if valid is False:
                self._drop_concurrently(index.name)
            if not valid:
                operations.create_index(index, concurrently=True)

        step = f"index {index.name}"
        self.report(step, "begun")
        with self._waiting_for_locks(), _Watch(self, step):
            self._until_unlocked(step, index.table, attempt)
        self.report(step, "done")

    def drop_index(self, name: str, table: str) -> None:
        """Drop it concurrently."""
        step = f"dropping index {name}"
        self.report(step, "begun")
        with self._waiting_for_locks():
            self._until_unlocked(step, table, lambda: self._drop_concurrently(name))
        self.report(step, "done")

    def report(
        self, step: str, phase: str, done: int | None = None, total: int | None = None
    ) -> None:
        """Report how far a step has come."""
        self._report(Progress(self._revision, step, phase, done, total))

    def _drop_concurrently(self, name: str) -> None:
        self.connection.exec_driver_sql(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')

    @contextmanager
    def _waiting_for_locks(self) -> Iterator[None]:
        # What is done concurrently waits for the transactions of others to end, and none of theirs
        # waits for it. A limit would leave an invalid index behind.
        self.connection.exec_driver_sql("SET lock_timeout = 0")
        yield
        self.connection.exec_driver_sql(_SETTINGS[-1])

    def _until_unlocked(self, step: str, table: str, attempt: Callable[[], None]) -> None:
        def waits(state: RetryCallState) -> None:
            self.report(step, f"waiting for {self._holder(table)}")

        retrying = Retrying(
            retry=retry_if_exception(_is_locked),
            # Longer than it kept the others waiting.
            wait=wait_fixed(LOCK_TIMEOUT) + wait_random_exponential(multiplier=0.5, max=4),
            stop=stop_after_delay(self._patience),
            before_sleep=waits,
            reraise=True,
        )
        try:
            retrying(attempt)
        except DBAPIError as error:
            if not _is_locked(error):
                raise
            raise LedgerUnavailableError(
                f"expected the lock of {table} within {self._patience}, got {self._holder(table)} "
                "in the way; end that session or wait for its end, and run "
                "`failsoft ledger upgrade` again: it goes on where it stopped"
            ) from error

    def _holder(self, table: str) -> str:
        row = self.connection.execute(_HOLDER, {"table": table}).one_or_none()
        if row is None:
            return f"the lock of {table}"
        since = "" if row.seconds is None else f", {row.seconds} s in its transaction"
        name = f" ({row.application_name})" if row.application_name else ""
        return f"session {row.pid}{name}, {row.state or 'of another role'}{since}"


class _Watch:
    """Looks from another session how far a build has come, and reports it."""

    def __init__(self, steps: PostgresqlSteps, step: str) -> None:
        driver: Any = steps.connection.connection.dbapi_connection
        self._pid = driver.info.backend_pid
        self._steps = steps
        self._step = step
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="failsoft-upgrade", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        # A short build is over before; and a server that takes no second session shows nothing.
        if self._is_over.wait(LOOK_EVERY):
            return
        with suppress(SQLAlchemyError), self._steps.connection.engine.connect() as connection:
            connection.exec_driver_sql("SET statement_timeout = 5000")
            while not self._is_over.wait(LOOK_EVERY):
                row = connection.execute(_BUILD, {"pid": self._pid}).one_or_none()
                if row is not None:
                    self._steps.report(self._step, *_shown(row))


def _shown(row: Any) -> tuple[str, int | None, int | None]:
    if row.lockers_total:
        phase = f"{row.phase}, now session {row.current_locker_pid}"
        return phase, row.lockers_done, row.lockers_total
    if row.tuples_total:
        return row.phase, row.tuples_done, row.tuples_total
    if row.blocks_total:
        return row.phase, row.blocks_done, row.blocks_total
    return row.phase, None, None


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _LOCKED
