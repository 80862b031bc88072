"""The ledger's id: it marks a broker's namespace as this ledger's (decision 0029)."""

import secrets

from sqlalchemy import Connection, insert, select, update

from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.schema.tables import info

#: The fact that holds it.
LEDGER_ID = "ledger_id"

_FIND = select(info.c.value).where(info.c.key == LEDGER_ID)


class SqlIdentity(SqlRole):
    """What a ledger is called towards brokers."""

    def ledger_id(self) -> str | None:
        """Return the ledger's id; None of one that no upgrade has given one yet."""
        found: str | None = self._database.read(lambda c: c.execute(_FIND).scalar_one_or_none())
        return found


def ensure_id(connection: Connection, *, new: bool = False) -> None:
    """Give the ledger an id if it has none; with `new` another one, for a copy of a ledger."""
    value = {"value": secrets.token_hex(16)}
    if connection.execute(_FIND).scalar_one_or_none() is None:
        connection.execute(insert(info).values(key=LEDGER_ID, **value))
    elif new:
        connection.execute(update(info).where(info.c.key == LEDGER_ID).values(**value))
