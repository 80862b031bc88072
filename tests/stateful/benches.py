"""Databases whose clock stands still until it is told, and whose callers may die mid-way."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, event, text

from tests.servers.drivers import watch
from understudy.ledger import Database, SqlLedger
from understudy.ledger.instants import stored
from understudy.ledger.tables import info, metadata, signing_keys
from understudy.ledger.upgrading import upgrade
from understudy.testing import FrozenClock

_CLOCK = (
    "CREATE SCHEMA frozen",
    "CREATE TABLE frozen.clock (at timestamptz)",
    "INSERT INTO frozen.clock VALUES (now())",
    (
        "CREATE FUNCTION frozen.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE "
        "AS 'SELECT at FROM frozen.clock'"
    ),
)
# Named, so that PostgreSQL's own functions are looked for last.
_PATH = "frozen, pg_catalog"
_SET_CLOCK = text("UPDATE frozen.clock SET at = :now")


class CutOff(BaseException):
    """The process died before it could execute a statement."""


class Bench:
    """A SQL ledger whose every fault is decided by the test.

    Attributes:
        clock: What the database takes for its clock.
        ledger_type: What stands for the ledger; a mutant, where the machine must find it.
        figures: How often what happened.
    """

    def __init__(self, url: str, ledger_type: type[SqlLedger] = SqlLedger) -> None:
        self.clock = FrozenClock()
        self.figures: Counter[str] = Counter()
        self.ledger_type = ledger_type
        self._statements_left: int | None = None
        self.database = Database(url)
        upgrade(self.database)
        self._freeze()
        watch(self.database, self._live_on)
        event.listen(self.database.engine, "commit", self._live_on)

    def empty(self) -> SqlLedger:
        """Forget every job, and return a ledger without any."""
        self.database.write(_empty)
        return self.open()

    def open(self) -> SqlLedger:
        """Return the ledger as a new process would open it."""
        self.database.close()
        return self.ledger_type(self.database, actor="tests")

    def pass_time(self, span: timedelta) -> None:
        """Let the database's clock move on."""
        self.clock.advance(span)
        self._set_clock()

    @contextmanager
    def dying_before(self, statement: int) -> Iterator[None]:
        """Let the process die before its so manyeth statement, the commit among them."""
        self._statements_left = statement
        try:
            yield
        finally:
            self._statements_left = None

    def _live_on(self, *told: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left == 0:
                raise CutOff

    def _freeze(self) -> None:
        if self.database.is_sqlite:
            event.listen(self.database.engine, "connect", self._freeze_connection)
        else:
            self.database.write(_shadow_the_clock)
        self.database.close()
        self._set_clock()

    def _freeze_connection(self, connection: Any, record: object) -> None:
        connection.create_function("understudy_now_ns", 0, lambda: 1000 * stored(self.clock.now()))
        # The tests kill processes, never the machine.
        connection.execute("PRAGMA synchronous=OFF").close()

    def _set_clock(self) -> None:
        if not self.database.is_sqlite:
            self.database.write(lambda c: c.execute(_SET_CLOCK, {"now": self.clock.now()}))


def _shadow_the_clock(connection: Connection) -> None:
    """Put a clock of ours before PostgreSQL's own, for every connection made from now on."""
    name = connection.engine.url.database
    for statement in (*_CLOCK, f'ALTER DATABASE "{name}" SET search_path = public, {_PATH}'):
        connection.exec_driver_sql(statement)


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        if table not in (signing_keys, info):
            connection.execute(table.delete())
