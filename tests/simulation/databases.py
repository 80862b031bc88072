"""The ledger on SQLite, on a simulation's clock."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from understudy.ledger import Database, SqlLedger
from understudy.ledger.instants import stored
from understudy.ledger.upgrading import upgrade
from understudy.testing import FrozenClock


@contextmanager
def sqlite_ledger(path: Path, clock: FrozenClock) -> Iterator[SqlLedger]:
    """Make a ledger in a file, whose clock is this one."""

    def set_up(connection: Any, record: object) -> None:
        connection.create_function("understudy_now_us", 0, lambda: stored(clock.now()))
        # A simulation kills processes, never the machine.
        connection.execute("PRAGMA synchronous=OFF").close()

    with closing(Database(f"sqlite:///{path}")) as database:
        upgrade(database)
        database.close()
        event.listen(database.engine, "connect", set_up)
        yield SqlLedger(database, actor="memory")
