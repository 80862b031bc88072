"""The refusal to work on a ledger that this code does not fit."""

import socket

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from understudy.job_engine.errors import LedgerHostError, LedgerSchemaError
from understudy.ledger.columns import PREFIX
from understudy.ledger.database import Database
from understudy.ledger.tables import info

#: The newest migration; the ledger must be at exactly this one.
REVISION = "0012"
#: Every migration there has been, the oldest first.
REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
)
#: Where Alembic notes the revision; a name of our own, beside an application's own Alembic.
VERSION_TABLE = f"{PREFIX}schema"

#: The fact that names the host of a SQLite ledger.
HOST = "host"

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))


def check(database: Database) -> None:
    """Refuse a ledger that this code cannot work on.

    Raises:
        LedgerSchemaError: If the schema is missing, older or newer.
        LedgerHostError: If it is a SQLite file that belongs to another host.
        LedgerUnavailableError: If the database does not answer.
    """
    _check_revision(database.read(revision))
    if database.is_sqlite:
        _check_host(database.read(host))


def revision(connection: Connection) -> str | None:
    """Return the revision the ledger is at; None if it has no tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    return found


def host(connection: Connection) -> str | None:
    """Return the host that a SQLite ledger belongs to."""
    found: str | None = connection.execute(
        select(info.c.value).where(info.c.key == HOST)
    ).scalar_one_or_none()
    return found


def _check_revision(found: str | None) -> None:
    if found == REVISION:
        return
    if found is None or found in REVISIONS:
        raise LedgerSchemaError(
            f"expected ledger schema {REVISION}, got {found or 'none'}; "
            "run `understudy ledger upgrade`"
        )
    raise LedgerSchemaError(
        f"expected ledger schema {REVISION}, got {found}, which a newer Understudy made; "
        "upgrade this installation"
    )


def _check_host(there: str | None) -> None:
    here = socket.gethostname()
    if there != here:
        raise LedgerHostError(
            f"expected the host {there!r} that this SQLite ledger belongs to, got {here!r}; use "
            "PostgreSQL where there are more hosts, or run `understudy ledger upgrade --adopt` if "
            "the file was moved here and nobody else opens it"
        )
