"""A ledger records a job in the transaction of a driver's own connection."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import make_url

from failsoft.api import BorrowedConnection, OptionInvalidError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite.dispatching.borrowed import BorrowedPromises
from failsoft.testing.ledger_suite.fixtures import new_job
from tests.servers.postgresql.postgres import Postgres


def ledger_of(url: str) -> Iterator[Ledger]:
    with closing(Database(url)) as database:
        upgrade(database)
        yield SqlLedger(database, actor="tests")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("borrowed") / "ledger.db"


@pytest.fixture(scope="module")
def on_sqlite(path: Path) -> Iterator[Ledger]:
    yield from ledger_of(f"sqlite:///{path}")


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    yield postgres.create_database("borrowed")
    postgres.drop_database("borrowed")


@pytest.fixture(scope="module")
def on_postgres(url: str) -> Iterator[Ledger]:
    yield from ledger_of(url)


class TestSqlite(BorrowedPromises):
    @pytest.fixture
    def ledger(self, on_sqlite: Ledger) -> Ledger:
        return on_sqlite

    @pytest.fixture
    def driver(self, ledger: Ledger, path: Path) -> Iterator[Any]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection

    @pytest.fixture
    def elsewhere(self, tmp_path: Path) -> Iterator[Any]:
        with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as connection:
            yield connection

    def test_less_than_full_synchronisation_is_refused(self, ledger: Ledger, driver: Any) -> None:
        driver.execute("PRAGMA synchronous=NORMAL")
        driver.execute("BEGIN IMMEDIATE")

        with pytest.raises(OptionInvalidError, match=r"expected .* synchronous=FULL, got"):
            ledger.within(BorrowedConnection(driver, after_commit=lambda then: None))

    def test_a_function_of_the_programs_stays(self, ledger: Ledger, driver: Any) -> None:
        driver.create_function("regexp", 2, lambda pattern, text: 42)
        driver.execute("BEGIN IMMEDIATE")
        ledger.within(BorrowedConnection(driver, after_commit=lambda then: None)).record_job(
            new_job(), None
        )

        assert tuple(driver.execute("SELECT 'a' REGEXP 'b'").fetchone()) == (42,)


class TestPostgres(BorrowedPromises):
    @pytest.fixture
    def ledger(self, on_postgres: Ledger) -> Ledger:
        return on_postgres

    @pytest.fixture
    def driver(self, ledger: Ledger, url: str) -> Iterator[Any]:
        with psycopg.connect(dsn(url), autocommit=True, row_factory=dict_row) as connection:
            yield connection

    @pytest.fixture
    def elsewhere(self, ledger: Ledger, postgres: Postgres) -> Iterator[Any]:
        with psycopg.connect(dsn(postgres.url()), autocommit=True) as connection:
            yield connection

    def test_another_search_path_is_another_place(self, ledger: Ledger, driver: Any) -> None:
        info: dict[Any, Any] = {}
        lent = BorrowedConnection(driver, after_commit=lambda then: None, info=info)
        driver.execute("CREATE SCHEMA IF NOT EXISTS tenant")
        driver.execute("BEGIN")
        ledger.within(lent)
        driver.execute("SET LOCAL search_path TO tenant")

        with pytest.raises(OptionInvalidError, match="schema tenant"):
            ledger.within(lent)


def dsn(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
