"""A deployment whose jobs are Django's tasks: real workers, and a server that a test kills."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from failsoft.dispatcher import use_dispatcher
from tests.contrib.django.conftest import SETTINGS
from tests.deployments.deployment import SHORT_LEASE, Deployment
from tests.deployments.fixtures import *  # noqa: F403 - what it offers is listed there
from tests.servers.valkey import Valkey


@pytest.fixture
def ledger_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Valkey]:
    """The server of RQ, which is the test's own to kill."""
    with Valkey(tmp_path / "rq") as server:
        yield server


@pytest.fixture
def addresses(upgraded_ledger_url: str, redis: Valkey) -> dict[str, str]:
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_ENGINES": "rq,ledger",
        "FAILSOFT_REDIS_URL": redis.url,
        "FAILSOFT_JOBS": "failsoft.contrib.django.jobs",
        "FAILSOFT_DISPATCH_BUDGET": "15s",
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        **SHORT_LEASE,
    }


@pytest.fixture(autouse=True)
def databases() -> None:
    """As the settings have them: enqueueing is outside of transactions here."""


@pytest.fixture(autouse=True)
def dispatcher(deployment: Deployment) -> Iterator[None]:
    """The deployment's dispatcher as the process's."""
    use_dispatcher(deployment.app.dispatcher)
    yield
    use_dispatcher(None)
