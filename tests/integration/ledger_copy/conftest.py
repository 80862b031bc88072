"""Two databases, of which one holds a ledger of everything."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
from tests.servers.postgresql.postgres import Postgres

#: From where to where.
WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")]


@pytest.fixture
def urls(
    tmp_path: Path, postgres: Postgres, tables_on_sqlite: Path, tables_on_postgres: str
) -> Iterator[dict[str, str]]:
    """A database with the tables of a ledger and an empty one of each kind.

    By the kind, and by `other-` and the kind.
    """
    names = [f"copy_{place}_{tmp_path.name[-20:].replace('-', '_').lower()}" for place in "ab"]
    first = postgres.create_database(names[0], template=tables_on_postgres)
    second = postgres.create_database(names[1])
    yield {
        "sqlite": f"sqlite:///{shutil.copy(tables_on_sqlite, tmp_path / 'source.db')}",
        "other-sqlite": f"sqlite:///{tmp_path / 'target.db'}",
        "postgresql": first,
        "other-postgresql": second,
    }
    for name in names:
        postgres.drop_database(name)


@pytest.fixture(params=WAYS[:1], ids="-to-".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """From SQLite to PostgreSQL, unless the test says otherwise."""
    source, target = request.param
    return str(source), str(target)


@pytest.fixture
def source_url(urls: dict[str, str], way: tuple[str, str]) -> str:
    return urls[way[0]]


@pytest.fixture
def target_url(urls: dict[str, str], way: tuple[str, str]) -> str:
    return urls[f"other-{way[1]}"]


@pytest.fixture
def source(source_url: str) -> Iterator[Database]:
    with closing(Database(source_url)) as database:
        upgrade(database)
        yield database


@pytest.fixture
def target(target_url: str) -> Iterator[Database]:
    with closing(Database(target_url)) as database:
        yield database
