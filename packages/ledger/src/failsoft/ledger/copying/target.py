"""The ledger that a copy is written to: marked as unfinished until all of it is there."""

import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, delete, func, insert, select, text, update

from failsoft.job_engine.errors import ConfigurationError, LedgerSchemaError
from failsoft.ledger.copying.rows import TABLES, Row, Sum, as_parameters, is_empty, key_of, short
from failsoft.ledger.copying.seal import stand_at
from failsoft.ledger.copying.site import Site
from failsoft.ledger.ledger_id import LEDGER_ID
from failsoft.ledger.schema import revision as schema
from failsoft.ledger.schema.tables import dispatch_attempts, info, outbox, signing_keys

#: The facts that say how far each table has come begin so.
_PROGRESS = "copied-rows-of-"
#: The facts that are a database's own, and never another's.
_OWN = (schema.HOST, schema.MINIMUM, schema.COPIED_FROM, schema.COPIED_TO)


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands in an unfinished copy.

    Attributes:
        place: The ledger that is copied.
        ledger_id: Its id.
        copy: The copy's own id.
    """

    place: str
    ledger_id: str
    copy: str

    @classmethod
    def of(cls, standing: schema.Standing) -> "Mark":
        """Read the mark of a ledger that is being copied to."""
        noted = json.loads(standing.copy or "{}")
        return cls(noted["place"], noted["ledger"], noted["copy"])

    @property
    def text(self) -> str:
        """The mark as it is noted."""
        return json.dumps({"place": self.place, "ledger": self.ledger_id, "copy": self.copy})


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a table has come.

    Attributes:
        key: The primary key of the row that was written last; None before the first.
        sum: The rows that were written.
    """

    key: Row | None
    sum: Sum


def begin(site: Site, place: str, ledger_id: str) -> Mark:
    """Mark an empty ledger as an unfinished copy of another.

    What an unfinished copy has written is deleted.

    Raises:
        ConfigurationError: It is not empty.
        LedgerSchemaError: It is of another revision.
    """
    mark = Mark(place, ledger_id, secrets.token_hex(8))
    with site.writing():
        found = schema.standing(site.connection)
        if found.revision == schema.COPYING:
            for table in reversed(TABLES):
                site.connection.execute(delete(table))
        else:
            expect_revision(found, site.database.place)
            _expect_empty(site)
            site.connection.execute(delete(signing_keys))
        _clear_facts(site.connection)
        site.connection.execute(insert(info).values(key=schema.COPIED_FROM, value=mark.text))
        stand_at(site.connection, schema.COPYING, schema.COPYING)
    return mark


def expect_revision(found: schema.Standing, place: str) -> None:
    """Refuse a ledger of another revision, also one that this code could work on.

    Raises:
        LedgerSchemaError: It is.
    """
    if found.revision != schema.REVISION:
        if found.is_too_new():
            raise schema.too_new(found, place)
        raise LedgerSchemaError(
            f"expected ledger schema {schema.REVISION} in {place}, got {found.revision}; a ledger "
            "is copied by code of its own revision: bring both to the newer one"
        )


def reached(connection: Connection, table: Any) -> Reached:
    """Return how far a table has come."""
    noted = schema.fact(connection, _PROGRESS + short(table))
    if noted is None:
        return Reached(None, Sum())
    found = json.loads(noted)
    return Reached(found["key"], Sum.of_json(found))


def write(site: Site, table: Any, batch: list[Row], total: Sum) -> None:
    """Write rows, and how far the table has come with them, in one transaction."""
    noted = json.dumps({"key": key_of(table, batch[-1]), **total.as_json()})
    key = _PROGRESS + short(table)
    with site.writing():
        site.connection.execute(insert(table), as_parameters(table, batch))
        here = update(info).where(info.c.key == key).values(value=noted)
        if site.connection.execute(here).rowcount == 0:
            site.connection.execute(insert(info).values(key=key, value=noted))


def facts_of(connection: Connection) -> Mapping[str, str]:
    """Return the facts of a ledger that go with it, and by which code it may be worked on."""
    rows = connection.execute(select(info.c.key, info.c.value)).all()
    facts = {row.key: row.value for row in rows if row.key not in _OWN}
    return facts | {schema.MINIMUM: schema.fact(connection, schema.MINIMUM) or schema.REVISION}


def finish(site: Site, facts: Mapping[str, str]) -> None:
    """Make a whole copy a ledger that may be used.

    Args:
        site: The copy.
        facts: What `facts_of` returned of the ledger that was copied.
    """
    connection = site.connection
    with site.writing():
        minimum = facts[schema.MINIMUM]
        _clear_facts(connection)
        for key, value in facts.items():
            if key != schema.MINIMUM:
                connection.execute(insert(info).values(key=key, value=value))
        if site.database.is_sqlite:
            connection.execute(insert(info).values(key=schema.HOST, value=socket.gethostname()))
        else:
            for column in (dispatch_attempts.c.id, outbox.c.seq):
                _set_sequence(connection, column)
        stand_at(connection, schema.REVISION, minimum)


def _set_sequence(connection: Connection, column: Column[int]) -> None:
    newest = connection.execute(select(func.max(column))).scalar_one()
    if newest is not None:
        sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :newest)")
        names = {"table": column.table.name, "column": column.name}
        connection.execute(sequence, {**names, "newest": newest})


def _clear_facts(connection: Connection) -> None:
    # The minimum is no fact of a copy's: it is changed, and always there.
    connection.execute(delete(info).where(info.c.key != schema.MINIMUM))


def _expect_empty(site: Site) -> None:
    full = [
        short(table)
        for table in TABLES
        if table is not signing_keys and not is_empty(site.connection, table)
    ]
    if full:
        known = schema.fact(site.connection, LEDGER_ID)
        raise ConfigurationError(
            f"expected an empty database to copy to, got ledger {known} in {site.database.place} "
            f"with rows of {', '.join(full)}; name another database"
        )
