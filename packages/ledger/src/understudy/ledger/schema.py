"""The ledger's schema: its Alembic migrations, and the refusal to work on another one."""

import socket
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, update

from understudy.job_engine.errors import LedgerHostError, LedgerSchemaError
from understudy.ledger.database import Database
from understudy.ledger.errors import translated
from understudy.ledger.keys import ensure_key
from understudy.ledger.tables import PREFIX, info

#: Where Alembic notes the revision; a name of our own, beside an application's own Alembic.
VERSION_TABLE = f"{PREFIX}schema"

_HOST = "host"


def upgrade(database: Database, *, adopt_host: bool = False) -> str:
    """Bring the schema to this code's revision and make a signing key; return the revision.

    Args:
        database: The ledger's database.
        adopt_host: Make this host the one a SQLite ledger belongs to, after the file was moved.
    """
    with translated(), database.engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        ensure_key(connection)
        _note_host(connection, adopt=adopt_host)
        return _revision(connection) or ""


def check(database: Database) -> None:
    """Refuse a ledger that this code cannot work on.

    Raises:
        LedgerSchemaError: If the schema is missing, older or newer.
        LedgerHostError: If it is a SQLite file that belongs to another host.
        LedgerUnavailableError: If the database does not answer.
    """
    database.read(lambda connection: _check_revision(_revision(connection)))
    if database.is_sqlite:
        database.read(_check_host)


def _check_revision(found: str | None) -> None:
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    if found == head:
        return
    known = {revision.revision for revision in script.walk_revisions()}
    if found is None or found in known:
        raise LedgerSchemaError(
            f"expected ledger schema {head}, got {found or 'none'}; run `understudy ledger upgrade`"
        )
    raise LedgerSchemaError(
        f"expected ledger schema {head}, got {found}, which a newer Understudy made; "
        "upgrade this installation"
    )


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _note_host(connection: Connection, *, adopt: bool) -> None:
    here = socket.gethostname()
    if _host(connection) is None:
        connection.execute(insert(info).values(key=_HOST, value=here))
    elif adopt:
        connection.execute(update(info).where(info.c.key == _HOST).values(value=here))


def _check_host(connection: Connection) -> None:
    here, there = socket.gethostname(), _host(connection)
    if there != here:
        raise LedgerHostError(
            f"expected the host {there!r} that this SQLite ledger belongs to, got {here!r}; use "
            "PostgreSQL where there are more hosts, or run `understudy ledger upgrade --adopt` if "
            "the file was moved here and nobody else opens it"
        )


def _host(connection: Connection) -> str | None:
    found: str | None = connection.execute(
        select(info.c.value).where(info.c.key == _HOST)
    ).scalar_one_or_none()
    return found
