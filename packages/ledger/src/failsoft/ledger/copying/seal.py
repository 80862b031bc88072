"""The end of a ledger that was copied: it is read, and written no more.

A process that began before the copy goes on with the database it has open: an application that
dispatches has no heartbeat, and a frozen worker none that is fresh. What it writes to the jobs is
refused by the database itself, so that no job is accepted where nothing looks for it, and none is
carried out twice.
"""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, update

from failsoft.ledger.database.outages import COPIED_STATE, COPIED_TEXT
from failsoft.ledger.schema import revision as schema
from failsoft.ledger.schema.columns import PREFIX
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import info

_TRIGGER = f"{PREFIX}copied"
_WRITES = ("INSERT", "UPDATE", "DELETE")


def seal(connection: Connection, place: str, copy_id: str) -> None:
    """Refuse every further write to the jobs of this ledger; in the caller's transaction.

    Args:
        connection: A connection to it.
        place: The ledger that replaces it.
        copy_id: The copy's id.
    """
    refusal = f"{COPIED_TEXT}{place}; start this process again with that one in FAILSOFT_LEDGER_URL"
    for statement in _made(connection.dialect.name, refusal):
        connection.exec_driver_sql(statement)
    minimum = schema.fact(connection, schema.MINIMUM)
    note = json.dumps({"place": place, "copy": copy_id, "minimum": minimum})
    connection.execute(insert(info).values(key=schema.COPIED_TO, value=note))
    stand_at(connection, schema.COPIED, schema.COPIED)


def unseal(connection: Connection) -> None:
    """Take writes again; in the caller's transaction."""
    note = json.loads(schema.fact(connection, schema.COPIED_TO) or "{}")
    for statement in _dropped(connection.dialect.name):
        connection.exec_driver_sql(statement)
    connection.execute(delete(info).where(info.c.key == schema.COPIED_TO))
    stand_at(connection, schema.REVISION, note.get("minimum") or schema.REVISION)


def stand_at(connection: Connection, revision: str, minimum: str) -> None:
    """Note where a ledger stands, and which code may work on it."""
    connection.execute(update(schema.version).values(version_num=revision))
    here = info.c.key == schema.MINIMUM
    connection.execute(update(info).where(here).values(value=minimum))


def _made(dialect: str, refusal: str) -> Sequence[str]:
    said = refusal.replace("'", "''")
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {_TRIGGER}_{write.lower()} BEFORE {write} ON {jobs.name} "
            f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
            for write in _WRITES
        ]
    said = said.replace("%", "%%")  # the driver's sign of a parameter
    raised = f"RAISE EXCEPTION USING MESSAGE = '{said}', ERRCODE = '{COPIED_STATE}'"
    body = f"$failsoft$ BEGIN {raised}; END $failsoft$"
    writes = " OR ".join(_WRITES)
    return [
        f"CREATE FUNCTION {_TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS {body}",
        f"CREATE TRIGGER {_TRIGGER} BEFORE {writes} ON {jobs.name} EXECUTE FUNCTION {_TRIGGER}()",
    ]


def _dropped(dialect: str) -> Sequence[str]:
    if dialect == "sqlite":
        return [f"DROP TRIGGER {_TRIGGER}_{write.lower()}" for write in _WRITES]
    return [f"DROP FUNCTION {_TRIGGER}() CASCADE"]
