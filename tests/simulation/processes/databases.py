"""The ledger on SQLite, on a simulation's clock, with a table of the jobs' own beside it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.timestamps import stored
from failsoft.ledger.upgrade.run import upgrade
from tests.simulation.clocks import LedgerTime


@contextmanager
def sqlite_ledger(
    path: Path, clock: LedgerTime, kind: type[SqlLedger] = SqlLedger
) -> Iterator[SqlLedger]:
    """Make a ledger of a kind in a file, whose clock is this one."""

    def set_up(connection: Any, record: object) -> None:
        connection.create_function("failsoft_now_ns", 0, lambda: 1000 * stored(clock.now()))
        # A simulation kills processes, never the machine.
        connection.execute("PRAGMA synchronous=OFF").close()

    with closing(Database(f"sqlite:///{path}")) as database:
        upgrade(database)
        database.close()
        event.listen(database.engine, "connect", set_up)
        database.write(lambda c: c.execute(text("CREATE TABLE simulated_effects (job_id TEXT)")))
        yield kind(database, actor="memory")


def keeps_effects(ledger: Ledger) -> bool:
    """Return whether a job can write its own rows in the ledger's transactions."""
    return isinstance(ledger, SqlLedger)


def add_effect(connection: Connection, job_id: str) -> None:
    """Write the row of a job; nothing keeps it from having two."""
    connection.execute(text("INSERT INTO simulated_effects VALUES (:job)"), {"job": job_id})


def effects_in(ledger: Ledger) -> Counter[str]:
    """Count the rows of each job."""
    if not isinstance(ledger, SqlLedger):
        return Counter()
    rows = ledger.database.read(lambda c: c.execute(text("SELECT * FROM simulated_effects")).all())
    return Counter(job_id for (job_id,) in rows)
