"""Queues and definitions of which nothing begins."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from failsoft.job_engine.records.pauses import Pausable, Pause
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.tables import pauses

_ONE = (pauses.c.kind == bindparam("at_kind"), pauses.c.name == bindparam("at_name"))
_FIND = select(*pauses.c).where(*_ONE)
_ALL = select(*pauses.c).order_by(pauses.c.kind.desc(), pauses.c.name)
_END = delete(pauses).where(*_ONE)


class SqlPauses:
    """The part of `ControlLedger` that pauses, on SQL."""

    def __init__(self, database: Database) -> None:
        """Work on a database."""
        self._database = database

    def pause(self, pause: Pause) -> Pause:
        """Let nothing begin; return the pause that holds now."""
        return self._database.write(lambda connection: _pause(connection, pause))

    def unpause(self, kind: Pausable, name: str) -> bool:
        """Let jobs begin again; tell whether it was paused."""
        one = {"at_kind": kind, "at_name": name}
        return self._database.write(lambda c: c.execute(_END, one).rowcount == 1)

    def pauses(self) -> Sequence[Pause]:
        """Return what is paused, the queues first."""
        return [record(row) for row in self._database.read(lambda c: c.execute(_ALL).all())]


def _pause(connection: Connection, pause: Pause) -> Pause:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"kind": pause.kind, "name": pause.name, "actor": pause.actor}
    values |= {"reason": pause.reason}
    new = dialect.insert(pauses).values(**values, since=now_us()).on_conflict_do_nothing()
    connection.execute(new)
    one = {"at_kind": pause.kind, "at_name": pause.name}
    return record(connection.execute(_FIND, one).one())


def record(row: AnyRow) -> Pause:
    """Read a row of `pauses`."""
    return Pause(row.kind, row.name, row.actor, row.reason, row.since)
