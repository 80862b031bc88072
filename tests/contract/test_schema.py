"""The migrations make the tables that the code describes, from nothing and from any revision."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from failsoft.ledger import Database, check
from failsoft.ledger.schema.columns import PREFIX
from failsoft.ledger.schema.revision import REVISION, REVISIONS
from failsoft.ledger.schema.tables import metadata
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.scripts import load

#: A job as code of the first revision recorded it.
JOB = text("""
    INSERT INTO failsoft_jobs (id, name, queue, state, payload, payload_sha, created_at)
    VALUES (:id, 'a-job', 'default', 'scheduled', '{}', '', 1)
""")


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    return kind != "table" or (name or "").startswith(PREFIX)


#: The table that notes the revision is none of the tables.
OPTIONS = {"include_name": _is_ours, "version_table": f"{PREFIX}schema"}
DEFINITIONS = {
    "sqlite": (
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type = 'index'",
        "SELECT m.name, c.* FROM sqlite_master m, pragma_table_xinfo(m.name) c",
        "SELECT m.name, k.* FROM sqlite_master m, pragma_foreign_key_list(m.name) k",
    ),
    "postgresql": (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        """
        SELECT relname, indisvalid, indisready FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid WHERE relname LIKE '%failsoft%'
        """,
        """
        SELECT table_name, column_name, ordinal_position, column_default, is_nullable, data_type,
            character_maximum_length FROM information_schema.columns WHERE table_schema = 'public'
        """,
        """
        SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        """,
    ),
}


def definitions(database: Database) -> Mapping[str, list[Any]]:
    """Return all that the database knows about its tables."""
    statements = DEFINITIONS[database.url.get_backend_name()]
    with database.engine.connect() as connection:
        return {each: sorted(map(repr, connection.execute(text(each)))) for each in statements}


def differences(database: Database) -> list[Any]:
    """Return what the database has otherwise than the tables of the code."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        return list(compare_metadata(context, metadata))


def test_after_an_upgrade_nothing_is_missing_and_nothing_too_much(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)

        assert differences(database) == []


def test_from_the_first_revision_on_the_tables_become_what_they_are_when_made(
    ledger_url: str,
) -> None:
    with closing(Database(ledger_url)) as database:
        made = upgrade(database, migrations=load()[:1])
        database.write(lambda c: c.execute(JOB, [{"id": f"job-{n}"} for n in range(3)]))
        # One revision after the other, as releases come.
        for n in range(2, len(REVISIONS) + 1):
            done = upgrade(database, migrations=load()[:n])
            assert (done.before, done.revision) == (REVISIONS[n - 2], REVISIONS[n - 1])
        check(database)
        migrated = definitions(database)
        assert differences(database) == []
        assert made.revision == REVISIONS[0]
        database.write(lambda c: [c.execute(text(f"DROP TABLE {name}")) for name in _tables(c)])

        fresh = upgrade(database)

        assert (fresh.before, fresh.revision) == (None, REVISION)
        assert definitions(database) == migrated


def _tables(connection: Any) -> list[str]:
    # The jobs last: others refer to them.
    names = [name for name in (*metadata.tables, f"{PREFIX}schema") if name != f"{PREFIX}jobs"]
    return [*names, f"{PREFIX}jobs"]


def test_every_migration_is_one_that_the_code_names() -> None:
    assert tuple(each.revision for each in load()) == REVISIONS


@pytest.mark.parametrize("migration", load(), ids=lambda each: each.revision)
def test_no_minimum_is_above_its_revision(migration: Any) -> None:
    assert migration.minimum <= migration.revision
