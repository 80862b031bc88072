"""Databases whose clock stands still until it is set, and whose callers may die mid-way."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.tables import info, metadata, signing_keys
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing import FrozenClock
from tests.servers.postgresql.database_clock import DatabaseClock
from tests.servers.postgresql.drivers import watch


class CutOff(BaseException):
    """The process died before it could execute a statement."""


class Loss(Enum):
    """What happens to a file that is open."""

    GONE = "gone"
    REPLACED = "replaced"
    LOG = "without its log"


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
        if self.database.is_sqlite:
            event.listen(self.database.engine, "connect", _without_syncing)
        self._clock = DatabaseClock(self.database, self.clock.now())
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
        self._clock.advance(span)

    @contextmanager
    def taking_no_writes(self) -> Iterator[None]:
        """Let the database refuse every write, as a standby and a file system do."""
        engine = self.database.engine
        self.database.close()
        event.listen(engine, "connect", _only_reading)
        try:
            yield
        finally:
            event.remove(engine, "connect", _only_reading)
            self.database.close()

    @contextmanager
    def losing(self, loss: Loss) -> Iterator[None]:
        """Let the file of a SQLite ledger be another one than is open, and then as it was."""
        file = Path(str(self.database.url.database))
        aside, other = file.with_suffix(".aside"), file.with_suffix(".other")
        if loss is Loss.LOG:
            # It is made again from what is open.
            for suffix in ("-wal", "-shm"):
                Path(f"{file}{suffix}").unlink()
            yield
            return
        if loss is Loss.REPLACED:
            with closing(sqlite3.connect(file)) as stranger:
                stranger.execute("VACUUM INTO ?", (str(other),))
        file.rename(aside)
        if loss is Loss.REPLACED:
            other.rename(file)
        try:
            yield
        finally:
            aside.rename(file)

    @contextmanager
    def dying_before(self, statement: int) -> Iterator[None]:
        """Let the process die before its so manyeth statement, the commit among them."""
        self._statements_left = statement
        try:
            yield
        finally:
            self._statements_left = None

    def _live_on(self, *arguments: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left == 0:
                raise CutOff


def _without_syncing(connection: Any, record: object) -> None:
    # The tests kill processes, never the machine.
    connection.execute("PRAGMA synchronous=OFF").close()


def _only_reading(connection: Any, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA query_only=ON").close()
        return
    connection.execute("SET default_transaction_read_only = on")
    connection.commit()


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        if table not in (signing_keys, info):
            connection.execute(table.delete())
