"""A database's clock that tests move; the ledger's statements take it for the real one."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, event, text

from failsoft.ledger import Database
from failsoft.ledger.database.timestamps import stored

_SCHEMA = (
    "CREATE SCHEMA moved",
    "CREATE TABLE moved.clock (stands_at timestamptz, ahead interval NOT NULL)",
    "INSERT INTO moved.clock VALUES (NULL, '0')",
    (
        "CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        "'SELECT coalesce(stands_at, pg_catalog.date_bin(''10 microseconds'', "
        "pg_catalog.clock_timestamp(), ''2000-01-01 00:00:00+00'')) + ahead FROM moved.clock'"
    ),
)
# Named, so that PostgreSQL's own functions are looked for last.
_PATH = "public, moved, pg_catalog"
_SET = text("UPDATE moved.clock SET stands_at = :stands_at, ahead = :ahead")


class DatabaseClock:
    """What a SQL ledger takes for its clock: the real one, set ahead, or one that stands still.

    PostgreSQL's shows tens of microseconds while it goes: so that the last digit of an instant may
    tell by how much it was ahead.
    """

    def __init__(self, database: Database, stands_at: datetime | None = None) -> None:
        """Take the place of the clock in every connection that is made from now on."""
        self._database = database
        self._stands_at = stands_at
        self._ahead = timedelta(0)
        if database.is_sqlite:
            event.listen(database.engine, "connect", self._put_into)
        else:
            database.write(_shadow_the_clock)
        database.close()
        self._set()

    def now(self) -> datetime:
        """Return the moment that the database takes for now, as a host would that agrees."""
        return (self._stands_at or datetime.now(UTC)) + self._ahead

    def advance(self, span: timedelta) -> None:
        """Let so much time pass at once."""
        self.set(self._ahead + span)

    def reset(self) -> None:
        """Go back to where the clock was at first."""
        self.set(timedelta(0))

    def set(self, ahead: timedelta) -> None:
        """Be so far ahead of where the clock was at first."""
        self._ahead = ahead
        self._set()

    def _put_into(self, connection: Any, record: object) -> None:
        connection.create_function("failsoft_now_ns", 0, self._now_ns)

    def _now_ns(self) -> int:
        ahead = 1000 * (self._ahead // timedelta(microseconds=1))
        return ahead + (1000 * stored(self._stands_at) if self._stands_at else time.time_ns())

    def _set(self) -> None:
        if not self._database.is_sqlite:
            now = {"stands_at": self._stands_at, "ahead": self._ahead}
            self._database.write(lambda connection: connection.execute(_SET, now))


def _shadow_the_clock(connection: Connection) -> None:
    """Put a clock of ours before PostgreSQL's own, for every connection made from now on."""
    name = connection.engine.url.database
    for statement in (*_SCHEMA, f'ALTER DATABASE "{name}" SET search_path = {_PATH}'):
        connection.exec_driver_sql(statement)
