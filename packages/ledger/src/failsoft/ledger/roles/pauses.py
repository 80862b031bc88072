"""Queues, definitions and engines of which nothing begins."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from failsoft.job_engine.records.pauses import Pausable, Pause
from failsoft.ledger.database.compiled import AnyRow, read
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.tables import pauses

_ONE = (pauses.c.kind == bindparam("at_kind"), pauses.c.name == bindparam("at_name"))
_FIND = select(*pauses.c).where(*_ONE)
_ALL = select(*pauses.c).order_by(pauses.c.kind.desc(), pauses.c.name)
_END = delete(pauses).where(*_ONE)


class SqlPauses(SqlRole):
    """The part of `ControlLedger` that pauses, on SQL."""

    def pause(self, pause: Pause) -> Pause:
        """Let nothing begin; return the pause that holds now."""
        return self._database.write(lambda connection: _pause(connection, pause))

    def unpause(self, kind: Pausable, name: str) -> bool:
        """Let jobs begin again; return whether it was paused."""
        one = {"at_kind": kind, "at_name": name}
        return self._database.write(lambda c: c.execute(_END, one).rowcount == 1)

    def pauses(self) -> Sequence[Pause]:
        """Return what is paused: queues, definitions, engines."""
        return [record(row) for row in self._database.ask(lambda c: read(c, _ALL))]


def _pause(connection: Connection, pause: Pause) -> Pause:
    new = insert_into(connection.dialect.name, pauses).values(
        kind=pause.kind, name=pause.name, actor=pause.actor, reason=pause.reason, since=now_us()
    )
    connection.execute(new.on_conflict_do_nothing())
    one = {"at_kind": pause.kind, "at_name": pause.name}
    return record(connection.execute(_FIND, one).one())


def record(row: AnyRow) -> Pause:
    """Read a row of `pauses`."""
    return Pause(row.kind, row.name, row.actor, row.reason, row.since)
