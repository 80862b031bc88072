"""Two ledgers, one broker of each engine, and the environment of a program that uses both."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.deployments.deployment import SHORT_INTERVALS
from tests.deployments.effect_log import FILE, EffectLog
from tests.servers.valkey import Valkey

#: Both in the environment of the tests and of what they start.
JOBS = "tests.integration.sharding.jobs,tests.jobs.scripted"
NAMES = ("a", "b")
#: A shard of each ledger.
IN_A, IN_B = "tenant-2", "tenant-1"


@pytest.fixture
def ledger_urls(tmp_path: Path, postgres_url: str) -> dict[str, str]:
    """A ledger on SQLite and one on PostgreSQL, upgraded."""
    urls = {"a": f"sqlite:///{tmp_path / 'a.db'}", "b": postgres_url}
    for url in urls.values():
        with closing(Database(url)) as database:
            upgrade(database)
    return urls


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
    given = {
        **SHORT_INTERVALS,
        **brokers,
        "FAILSOFT_LEDGERS": ",".join(f"{name}={url}" for name, url in ledger_urls.items()),
        "FAILSOFT_JOBS": JOBS,
        FILE: str(tmp_path / "effect_log"),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    # A command that names a ledger leaves it there, for what it starts.
    monkeypatch.setenv("FAILSOFT_LEDGER_NAME", "")
    return monkeypatch


@pytest.fixture
def effect_log(environment: pytest.MonkeyPatch) -> EffectLog:
    return EffectLog(Path(os.environ[FILE]))
