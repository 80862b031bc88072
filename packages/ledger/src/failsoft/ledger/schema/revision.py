"""The refusal to work on a ledger that this code does not fit."""

import json
import socket
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
)

from failsoft.job_engine.errors import LedgerHostError, LedgerSchemaError
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.postgresql.encoding import expect_utf8
from failsoft.ledger.schema.columns import PREFIX
from failsoft.ledger.schema.tables import info

#: The migrations, the oldest first.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
#: The newest migration; the ledger must be at this one, or at a newer one whose minimum this code
#: meets.
REVISION = REVISIONS[-1]
#: Where the revision stands; a name of our own, beside an application's own Alembic.
VERSION_TABLE = f"{PREFIX}schema"

#: The fact that names the host of a SQLite ledger.
HOST = "host"
#: The fact that names the oldest revision whose code can work on the ledger.
MINIMUM = "minimum_revision"

#: Stands for the revision of a ledger that a copy is being written to, and for its minimum, so that
#: no other code works on it either; and of one that was copied to another.
COPYING, COPIED = "copying", "copied"
#: The facts that say from where, and to where.
COPIED_FROM, COPIED_TO = "copied_from", "copied_to"

version: Table = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


class Standing(NamedTuple):
    """Where a ledger stands.

    Attributes:
        revision: Its revision; None if it has no tables.
        minimum: The oldest revision whose code can work on it; None if no upgrade has noted one.
        copy: What the mark of a copy says (JSON), if it is `COPYING` or `COPIED`.
    """

    revision: str | None
    minimum: str | None
    copy: str | None = None

    def is_too_new(self, known: Collection[str] = REVISIONS) -> bool:
        """Return whether code with these revisions is too old for it."""
        # The minimum decides, also where the revision is known: an upgrade raises it before it
        # does what older code cannot live with.
        if self.minimum is not None:
            return self.minimum not in known
        return self.revision is not None and self.revision not in known

    @property
    def is_too_old(self) -> bool:
        """Return whether it has to be upgraded before this code can work on it."""
        return self.revision is None or self.revision in REVISIONS[:-1]


def check(database: Database) -> None:
    """Refuse a ledger that this code cannot work on.

    Raises:
        ConfigurationError: If it is a database that cannot hold every text.
        LedgerSchemaError: If the schema is missing or older, or so new that it needs newer code.
        LedgerHostError: If it is a SQLite file that belongs to another host.
        LedgerUnavailableError: If the database does not answer.
    """
    _check_revision(database.read(_standing_of_ledger), database.place)
    if database.is_sqlite:
        _check_host(database.read(host))


def standing(connection: Connection) -> Standing:
    """Return where the ledger stands."""
    found = revision(connection)
    if found is None:
        return Standing(None, None)
    mark = {COPYING: COPIED_FROM, COPIED: COPIED_TO}.get(found)
    note = None if mark is None else fact(connection, mark)
    return Standing(found, fact(connection, MINIMUM), note)


def _standing_of_ledger(connection: Connection) -> Standing:
    if connection.dialect.name == "postgresql":
        expect_utf8(connection)
    return standing(connection)


def revision(connection: Connection) -> str | None:
    """Return the revision the ledger is at; None if it has no tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(version.c.version_num)).scalar_one_or_none()
    return found


def host(connection: Connection) -> str | None:
    """Return the host that a SQLite ledger belongs to."""
    return fact(connection, HOST)


def fact(connection: Connection, key: str) -> str | None:
    """Return what the ledger notes about itself."""
    found: str | None = connection.execute(
        select(info.c.value).where(info.c.key == key)
    ).scalar_one_or_none()
    return found


def too_new(found: Standing, place: str) -> LedgerSchemaError:
    """Return the refusal of a ledger that needs newer code, or that a copy has marked."""
    if found.copy is not None and found.revision in (COPYING, COPIED):
        return _marked(found.revision, json.loads(found.copy)["place"], place)
    needs = f", which needs code of {found.minimum} at least" if found.minimum else ""
    return LedgerSchemaError(
        f"expected ledger schema {REVISION}, got {found.revision}, which a newer Failsoft made"
        f"{needs}, in {place}; upgrade this installation"
    )


def _marked(revision: str, other: str, place: str) -> LedgerSchemaError:
    if revision == COPYING:
        return LedgerSchemaError(
            f"expected a whole ledger, got an unfinished copy of {other} in {place}; run `failsoft "
            "ledger copy` from there again: it goes on, or begins anew with --restart"
        )
    return LedgerSchemaError(
        f"expected the ledger in use, got {place}, which was copied to {other}; name that one in "
        "FAILSOFT_LEDGER_URL, or run `failsoft ledger reopen` if no process has used it"
    )


def _check_revision(found: Standing, place: str) -> None:
    if found.is_too_new():
        raise too_new(found, place)
    if found.is_too_old:
        raise LedgerSchemaError(
            f"expected ledger schema {REVISION}, got {found.revision or 'none'} in {place}; "
            "run `failsoft ledger upgrade`"
        )


def _check_host(there: str | None) -> None:
    here = socket.gethostname()
    if there != here:
        raise LedgerHostError(
            f"expected the host {there!r} that this SQLite ledger belongs to, got {here!r}; use "
            "PostgreSQL where there are more hosts, or run `failsoft ledger upgrade --adopt` if "
            "the file was moved here and no other host opens it"
        )
