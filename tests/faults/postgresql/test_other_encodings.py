"""F56: a database or a client of another encoding than UTF-8, and texts that none can hold."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from failsoft.job_engine.errors import ConfigurationError, LedgerError
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.database.errors import WorkError
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.faults.support import ON_SQLITE
from tests.servers.postgresql.postgres import Postgres

pytestmark = pytest.mark.fault("F56")

JAPANESE = "日本 café"
#: What no database holds as text: a lone surrogate, and a NUL on PostgreSQL.
UNHOLDABLE = ("a\udcff", "a\0b")


def execute(url: str, statement: str) -> None:
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def another(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[tuple[str, str]]:
    """An encoding, and the address of a database in it."""
    name = f"in_{request.param.lower()}"
    execute(
        postgres.url("postgres"),
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}'"
        " LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    yield request.param, postgres.url(name)
    postgres.drop_database(name)


def test_a_database_that_cannot_hold_every_text_is_refused(another: tuple[str, str]) -> None:
    encoding, url = another
    expected = f"expected a database in UTF8, got one in {encoding}"
    with closing(Database(url)) as database:
        for refused in (upgrade, check):
            with pytest.raises(ConfigurationError, match=expected):
                refused(database)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        made = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert made.fetchone() in ((0,), (b"0",))


@pytest.mark.parametrize("where", ["environment", "database"])
def test_texts_are_sent_as_utf8_whatever_the_clients_encoding_is(
    where: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    else:
        name = postgres_url.rpartition("/")[2]
        execute(postgres_url, f"ALTER DATABASE {name} SET client_encoding = 'latin1'")
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        ledger = SqlLedger(database)
        claim = fixtures.started(ledger)

        ledger.conclude(claim, replace(fixtures.SUCCESS, result=f'"{JAPANESE}"'))

        assert ledger.get(claim.job_id).result == f'"{JAPANESE}"'


@pytest.mark.parametrize(
    "query", ["client_encoding=latin1", "options=-c%20client_encoding%3Dlatin1"]
)
def test_a_url_with_another_encoding_is_refused(query: str, postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"client_encoding=utf8.*got latin1"):
        Database(f"{postgres_url}?{query}")


@ON_SQLITE
@pytest.mark.parametrize("text", UNHOLDABLE[:1], ids=ascii)
def test_a_text_that_cannot_be_held_is_the_ledgers_error_on_sqlite(
    text: str, ledger_url: str
) -> None:
    _expect_refused(ledger_url, text)


@pytest.mark.parametrize("text", UNHOLDABLE, ids=ascii)
def test_a_text_that_cannot_be_held_is_the_ledgers_error(text: str, postgres_url: str) -> None:
    _expect_refused(postgres_url, text)


def _expect_refused(url: str, text: str) -> None:
    with closing(Database(url)) as database:
        upgrade(database)
        ledger = SqlLedger(database)
        claim = fixtures.started(ledger)

        for attempt in (
            lambda: ledger.conclude(claim, replace(fixtures.SUCCESS, result=text)),
            lambda: ledger.record(claim, replace(fixtures.step(), result=text)),
            lambda: ledger.record_job(replace(fixtures.new_job(), payload=text), None),
            lambda: ledger.list_jobs(name=text),
        ):
            with pytest.raises(LedgerError) as refused:
                attempt()
            assert text not in str(refused.value)
        assert ledger.get(claim.job_id).state is JobState.RUNNING
        assert ledger.conclude(claim, fixtures.SUCCESS) is JobState.SUCCEEDED


@pytest.mark.parametrize("error", [TypeError("pin"), KeyError("pin"), OverflowError("pin")])
def test_what_is_no_drivers_error_is_translated_and_keeps_its_cause(
    error: Exception, sqlite_url: str
) -> None:
    def work(_: object) -> None:
        raise error

    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        for call in (database.read, database.write, database.write_one, database.ask):
            with pytest.raises(LedgerError) as raised:
                call(work)
            assert raised.value.__cause__ is error
            assert "pin" not in str(raised.value)


def test_what_the_jobs_own_sql_raised_passes_as_it_is(sqlite_url: str) -> None:
    def work(_: object) -> None:
        raise WorkError(ValueError("the job's"))

    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        with pytest.raises(WorkError):
            database.write(work)
