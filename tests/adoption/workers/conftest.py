"""A deployment whose jobs are calls of the three shims, on Dramatiq and on the ledger's engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from failsoft.dispatcher import use_dispatcher
from tests.adoption.apps.holding import LOG
from tests.deployments.deployment import SHORT_LEASE, Deployment
from tests.deployments.fixtures import *  # noqa: F403 - what it offers is listed there

SHIMS = ("rq", "dramatiq", "celery")
APPS = ("shop", "actors", "tasks")


@pytest.fixture
def ledger_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file that attempts are noted in."""
    return tmp_path / "attempts"


@pytest.fixture
def addresses(upgraded_ledger_url: str, fallback_url: str, log: Path) -> dict[str, str]:
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_ENGINES": "dramatiq,ledger",
        "FAILSOFT_AMQP_URL": fallback_url,
        "FAILSOFT_JOBS": ",".join(f"failsoft.adoption.{each}.jobs" for each in SHIMS),
        "FAILSOFT_CALLABLES": ",".join(f"tests.adoption.apps.{each}" for each in APPS),
        "FAILSOFT_DISPATCH_BUDGET": "15s",
        LOG: str(log),
        **SHORT_LEASE,
    }


@pytest.fixture(autouse=True)
def dispatcher(deployment: Deployment) -> Iterator[None]:
    """The deployment's dispatcher as the process's."""
    use_dispatcher(deployment.app.dispatcher)
    yield
    use_dispatcher(None)
