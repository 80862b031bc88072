"""Bringing a ledger up to date with Alembic.

Apart from `schema`, because a program that only dispatches need not load Alembic.
"""

import socket
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, insert, update

from understudy.ledger import schema
from understudy.ledger.database import Database
from understudy.ledger.errors import translated
from understudy.ledger.keys import ensure_key
from understudy.ledger.tables import info


def upgrade(database: Database, *, adopt_host: bool = False) -> str:
    """Bring the schema to this code's revision and make a signing key; return the revision.

    Args:
        database: The ledger's database.
        adopt_host: Make this host the one a SQLite ledger belongs to, after the file was moved.

    Raises:
        LedgerUnavailableError: If the database does not answer.
        LedgerSchemaError: If a newer Understudy made the schema.
    """
    found = database.read(schema.revision)
    if found is not None and found not in schema.REVISIONS:
        schema.check(database)
    with translated(), database.engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
        ensure_key(connection)
        _note_host(connection, adopt=adopt_host)
    return schema.REVISION


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; the migrations run on the given connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _note_host(connection: Connection, *, adopt: bool) -> None:
    here = socket.gethostname()
    if schema.host(connection) is None:
        connection.execute(insert(info).values(key=schema.HOST, value=here))
    elif adopt:
        connection.execute(update(info).where(info.c.key == schema.HOST).values(value=here))
