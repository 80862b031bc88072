"""A clock that every process of a test shares: the system's, set ahead by what was travelled.

The ledger's own is set ahead, too. PostgreSQL looks for `clock_timestamp` in a schema of the kit's
before its own; SQLite calls a function that each connection is given.
"""

import mmap
import operator
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text

from failsoft.job_engine.clock import SystemClock
from failsoft.ledger import Database

SCHEMA = "failsoft_testkit"
_SHADOW = (
    f"CREATE SCHEMA {SCHEMA}",
    f"CREATE TABLE {SCHEMA}.clock (ahead interval NOT NULL)",
    f"INSERT INTO {SCHEMA}.clock VALUES ('0')",  # noqa: S608 - a constant
    (
        f"CREATE FUNCTION {SCHEMA}.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE "  # noqa: S608 - as above
        f"AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM {SCHEMA}.clock'"
    ),
)
#: PostgreSQL's own functions are named, and so looked for last.
SEARCH_PATH = f"public, {SCHEMA}, pg_catalog"
_SET = text(f"UPDATE {SCHEMA}.clock SET ahead = :ahead")  # noqa: S608 - as above
_MICROSECOND = timedelta(microseconds=1)


class SharedClock(SystemClock):
    """`Clock` that is ahead of the system's by what a file says.

    Args:
        file: Where the span is kept, in nanoseconds; made by the process that sets it.
    """

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._ahead = memoryview(mmap.mmap(opened.fileno(), 8)).cast("q")
        self._database: Database | None = None

    def now(self) -> datetime:
        """Return the aware UTC time, with what was travelled."""
        return datetime.now(UTC) + self._span

    def steady(self) -> float:
        """Return seconds that only grow, with what was travelled."""
        return super().steady() + self._span.total_seconds()

    def rule(self, database: Database) -> None:
        """Be the clock of a ledger, for every connection that is made from now on."""
        self._database = database
        if database.is_sqlite:
            event.listen(database.engine, "connect", self._put_into)

    def advance(self, span: timedelta) -> None:
        """Set the clock ahead, of the ledger and of every process."""
        self._ahead[0] += span // _MICROSECOND * 1000
        if self._database is not None and not self._database.is_sqlite:
            ahead = {"ahead": self._span}
            self._database.write(lambda connection: connection.execute(_SET, ahead))

    @property
    def _span(self) -> timedelta:
        return timedelta(microseconds=self._ahead[0] / 1000)

    def _put_into(self, connection: Any, record: object) -> None:
        connection.create_function("failsoft_now_ns", 0, self._nanoseconds())

    def _nanoseconds(self) -> Callable[[], int]:
        # Nothing of Python's runs in it: an interrupt there would be lost as an error of SQLite's.
        ahead = iter(partial(self._ahead.__getitem__, 0), None)
        return map(operator.add, iter(time.time_ns, None), ahead).__next__


def shadow_the_clock(connection: Connection) -> None:
    """Put a clock that can be set ahead before PostgreSQL's own, in one database."""
    for statement in _SHADOW:
        connection.exec_driver_sql(statement)
