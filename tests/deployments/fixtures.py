"""A deployment for each test: an empty ledger of each kind, both engines, no worker yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from failsoft.ledger.database.database import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.deployments.deployment import SHORT_INTERVALS, Deployment, opened
from tests.deployments.effect_log import FILE
from tests.servers.processes import Processes
from tests.servers.valkey import Valkey

#: The fixtures, for the conftest files of the folders that use them.
__all__ = [
    "addresses",
    "deployment",
    "environment",
    "fallback_url",
    "gate",
    "second_valkey_url",
    "upgraded_ledger_url",
]

FALLBACKS = {"rabbitmq": "amqp_url", "valkey": "second_valkey_url"}


@pytest.fixture
def second_valkey_url(second_valkey: Valkey) -> str:
    return second_valkey.url


@pytest.fixture
def fallback_url(request: pytest.FixtureRequest) -> str:
    """Dramatiq's broker: RabbitMQ, unless the test says otherwise."""
    return str(request.getfixturevalue(FALLBACKS[getattr(request, "param", "rabbitmq")]))


@pytest.fixture
def upgraded_ledger_url(ledger_url: str) -> str:
    database = Database(ledger_url)
    upgrade(database)
    database.close()
    return ledger_url


@pytest.fixture
def addresses(upgraded_ledger_url: str, valkey: Valkey, fallback_url: str) -> dict[str, str]:
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_REDIS_URL": valkey.url,
        "FAILSOFT_AMQP_URL": fallback_url,
    }


@pytest.fixture
def environment(
    addresses: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> pytest.MonkeyPatch:
    """The environment of the dispatcher here and of the workers."""
    monkeypatch.delenv("USE_RQ", raising=False)
    effect_log = {FILE: str(tmp_path / "effect_log")}
    for name, value in {**SHORT_INTERVALS, **addresses, **effect_log}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def deployment(environment: pytest.MonkeyPatch, processes: Processes) -> Iterator[Deployment]:
    with opened(processes) as deployment:
        yield deployment


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that jobs wait for; a test opens the gate by touching it."""
    return tmp_path / "gate"
