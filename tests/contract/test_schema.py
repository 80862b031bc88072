"""The migrations make the tables that the code describes."""

from contextlib import closing
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from understudy.ledger import Database
from understudy.ledger.columns import PREFIX
from understudy.ledger.tables import metadata
from understudy.ledger.upgrading import upgrade


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    return kind != "table" or (name or "").startswith(PREFIX)


#: As the migrations are run: the table that notes them is none of the tables.
OPTIONS = {"include_name": _is_ours, "version_table": f"{PREFIX}schema"}


def test_after_an_upgrade_nothing_is_missing_and_nothing_too_much(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)

        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=OPTIONS)
            differences = compare_metadata(context, metadata)

    assert differences == []
