"""Two ledgers, one broker of each engine, and the environment of a program that uses both."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.deployments.deployment import SHORT_INTERVALS
from tests.deployments.effect_log import FILE
from tests.servers.valkey import Valkey

#: Both in the environment of the tests and of what they start.
JOBS = "tests.integration.sharding.jobs,tests.jobs.scripted"
NAMES = ("a", "b")
#: A shard of each ledger.
IN_A, IN_B = "tenant-2", "tenant-1"


def two_ledgers(folder: Path, tables_on_sqlite: Path, postgres_url: str) -> dict[str, str]:
    """A ledger on SQLite and one on PostgreSQL, upgraded."""
    urls = {"a": f"sqlite:///{shutil.copy(tables_on_sqlite, folder / 'a.db')}", "b": postgres_url}
    for url in urls.values():
        with closing(Database(url)) as database:
            upgrade(database)
    return urls


def of_both(ledger_urls: dict[str, str], brokers: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment of a program that uses both ledgers."""
    return {
        **SHORT_INTERVALS,
        **brokers,
        "FAILSOFT_LEDGERS": ",".join(f"{name}={url}" for name, url in ledger_urls.items()),
        "FAILSOFT_JOBS": JOBS,
        FILE: str(folder / "effect_log"),
        # A command that names a ledger leaves it there, for what it starts.
        "FAILSOFT_LEDGER_NAME": "",
    }


@pytest.fixture
def ledger_urls(tmp_path: Path, tables_on_sqlite: Path, postgres_url: str) -> dict[str, str]:
    return two_ledgers(tmp_path, tables_on_sqlite, postgres_url)


@pytest.fixture
def brokers(valkey: Valkey, second_valkey: Valkey) -> dict[str, str]:
    return {"FAILSOFT_REDIS_URL": valkey.url, "FAILSOFT_AMQP_URL": second_valkey.url}


@pytest.fixture
def environment(
    ledger_urls: dict[str, str],
    brokers: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> pytest.MonkeyPatch:
    for name, value in of_both(ledger_urls, brokers, tmp_path).items():
        monkeypatch.setenv(name, value)
    return monkeypatch
