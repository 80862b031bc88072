"""A database that Citus is installed in is refused wherever the ledger connects to it."""

import os
from contextlib import closing

import psycopg
import pytest
from click.testing import CliRunner

from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger import Database, check
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.cli import main
from failsoft.worker.exit_codes import CONFIG

#: As CREATE EXTENSION would, whose files are not here.
INSTALL = """
    INSERT INTO pg_catalog.pg_extension
        (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    SELECT 99999, 'citus', 10, oid, false, '13.0' FROM pg_catalog.pg_namespace
    WHERE nspname = 'pg_catalog'
"""
REFUSED = "expected PostgreSQL itself for the ledger, got Citus: "


@pytest.fixture
def citus_url(empty_postgres_url: str) -> str:
    plain = empty_postgres_url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("SET allow_system_table_mods = on")
        connection.execute(INSTALL)
    return empty_postgres_url


def tables(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        return int((found.fetchone() or (0,))[0])


@pytest.mark.parametrize("query", ["", "?pooler=transaction"])
def test_it_is_refused_before_anything_is_read(citus_url: str, query: str) -> None:
    refused = pytest.raises(ConfigurationError, match=REFUSED)
    with closing(Database(citus_url + query)) as database, refused:
        check(database)


def test_an_upgrade_makes_no_table(citus_url: str) -> None:
    refused = pytest.raises(ConfigurationError, match=REFUSED)
    with closing(Database(citus_url)) as database, refused:
        upgrade(database)

    assert tables(citus_url) == 0


def test_a_command_ends_with_78(citus_url: str) -> None:
    found = CliRunner().invoke(
        main, ["jobs", "list"], env={**os.environ, "FAILSOFT_LEDGER_URL": citus_url}
    )

    assert found.exit_code == CONFIG
    assert REFUSED in found.output


def test_a_database_without_it_on_the_same_server_is_taken(
    citus_url: str, empty_postgres_url: str
) -> None:
    with psycopg.connect(empty_postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET allow_system_table_mods = on")
        connection.execute("DELETE FROM pg_catalog.pg_extension WHERE extname = 'citus'")

    with closing(Database(empty_postgres_url)) as database:
        assert upgrade(database).tables > 0
        check(database)
