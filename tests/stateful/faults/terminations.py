"""Ending the session of a ledger on PostgreSQL at any of its statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from failsoft.ledger import Database
from tests.servers.postgresql.drivers import watch

Driver = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]
TAKES_SESSIONS = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")


class Terminations:
    """Counts the moments at which a session may end, and ends it at one of them.

    The moments are before each statement, before each commit, and after each commit but before
    its reply is read.

    Attributes:
        struck: Whether the session was ended.
        too_late: Whether that was after the commit, so that only the reply was lost.
    """

    def __init__(self, database: Database, admin: Driver) -> None:
        self._admin = admin
        self._name = Identifier(str(database.url.database))
        self._for_good = False
        self._moments_left: int | None = None
        self._set_up: WeakSet[Driver] = WeakSet()
        self.struck = self.too_late = False
        event.listen(database.engine, "connect", lambda driver, record: self._set_up.add(driver))
        watch(database, self._before_statement, self._after_statement)
        event.listen(database.engine, "commit", self._at_commit)

    @contextmanager
    def at(self, moment: int, *, for_good: bool = False) -> Iterator[None]:
        """End the session at the so manyeth moment of what happens inside.

        Args:
            moment: The moment.
            for_good: Whether the server takes no other session of the database meanwhile.
        """
        self.struck = self.too_late = False
        self._moments_left = moment
        self._for_good = for_good
        try:
            yield
        finally:
            self._moments_left = None
            if for_good:
                self._admin.execute(TAKES_SESSIONS.format(self._name, SQL("true")))

    def _before_statement(self, cursor: Cursor) -> None:
        if self._is_now():
            self._terminate(cursor.connection)

    def _after_statement(self, cursor: Cursor) -> None:
        if cursor.connection not in self._set_up:
            # It reads from the server what it is connected to, and commits nothing.
            return
        commits_by_itself = cursor.connection.info.transaction_status is TransactionStatus.IDLE
        if commits_by_itself and cursor.rowcount > 0 and self._is_now():
            self._lose_reply(cursor.connection)

    def _at_commit(self, connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        if self._is_now():
            self._terminate(driver)
        elif self._is_now():
            driver.commit()
            try:
                self._lose_reply(driver)
            except psycopg.OperationalError as error:
                connection.invalidate()
                raise OperationalError(
                    "COMMIT", None, error, connection_invalidated=True
                ) from error

    def _is_now(self) -> bool:
        if self._moments_left is None:
            return False
        self._moments_left -= 1
        if self._moments_left == 0:
            self._moments_left, self.struck = None, True
        return self._moments_left is None

    def _lose_reply(self, driver: Driver) -> None:
        self.too_late = True
        self._terminate(driver)
        driver.execute("SELECT 1")

    def _terminate(self, driver: Driver) -> None:
        if self._for_good:
            self._admin.execute(TAKES_SESSIONS.format(self._name, SQL("false")))
        self._admin.execute("SELECT pg_terminate_backend(%s, 5000)", (driver.info.backend_pid,))
