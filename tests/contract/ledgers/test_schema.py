"""The migrations make the tables that the code describes, at once and one after the other."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from failsoft.ledger import Database
from failsoft.ledger.schema.columns import PREFIX
from failsoft.ledger.schema.revision import REVISIONS
from failsoft.ledger.schema.tables import metadata
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.scripts import load
from tests.integration.upgrades.next_release import ADDITIVE

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


def test_after_an_upgrade_nothing_is_missing_and_nothing_too_much(empty_ledger_url: str) -> None:
    with closing(Database(empty_ledger_url)) as database:
        upgrade(database)

        assert differences(database) == []


def test_a_ledger_that_was_migrated_release_by_release_is_as_one_that_was_made_at_once(
    empty_ledger_url: str,
) -> None:
    with closing(Database(empty_ledger_url)) as database:
        upgrade(database, migrations=ADDITIVE[:1])
        database.write(lambda c: c.execute(JOB, [{"id": f"job-{n}"} for n in range(3)]))
        for n, migration in enumerate(ADDITIVE[1:], 2):
            done = upgrade(database, migrations=ADDITIVE[:n])
            assert (done.before, done.revision) == (migration.before, migration.revision)
        migrated = definitions(database)
        database.write(_drop_everything)

        made = upgrade(database, migrations=ADDITIVE)

        assert (made.before, made.revision) == (None, "0099")
        assert definitions(database) == migrated


def _drop_everything(connection: Connection) -> None:
    connection.execute(text(f"DROP VIEW {PREFIX}colours_of_jobs"))
    # The jobs last: others refer to them.
    others = [name for name in metadata.tables if name != f"{PREFIX}jobs"]
    for name in (*others, f"{PREFIX}schema", f"{PREFIX}colours", f"{PREFIX}jobs"):
        connection.execute(text(f"DROP TABLE {name}"))


def test_on_postgresql_ids_and_keys_sort_by_their_bytes(empty_postgres_url: str) -> None:
    """Otherwise no index finds ids by their beginning, nor a key by the id it is compared with."""
    columns = (column for table in metadata.tables.values() for column in table.columns)
    wanted = {str(each) for each in columns if _collation(each.type) == "C"}
    found = text("""
        SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND collation_name = 'C'
    """)
    with closing(Database(empty_postgres_url)) as database:
        upgrade(database)

        assert set(database.read(lambda c: c.execute(found).scalars().all())) == wanted
    assert {f"{PREFIX}jobs.id", f"{PREFIX}jobs.idempotency_key", f"{PREFIX}keys.key"} <= wanted


def _collation(kind: Any) -> str | None:
    return getattr(kind.dialect_impl(postgresql.dialect()), "collation", None)


def test_every_migration_is_one_that_the_code_names() -> None:
    assert tuple(each.revision for each in load()) == REVISIONS


@pytest.mark.parametrize("migration", load(), ids=lambda each: each.revision)
def test_no_minimum_is_above_its_revision(migration: Any) -> None:
    assert migration.minimum <= migration.revision
