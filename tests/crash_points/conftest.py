"""The deployment of the acceptance tests, and workers that are replaced quickly."""

import json
from pathlib import Path

import pytest

from tests.crash_points.replaced_workers import CRASH_POINT_JOBS, ReplacedWorkers
from tests.deployments.deployment import Deployment
from tests.deployments.fixtures import (
    addresses,
    deployment,
    environment,
    fallback_url,
    gate,
    second_valkey_url,
    upgraded_ledger_url,
)

__all__ = [
    "addresses",
    "deployment",
    "fallback_url",
    "gate",
    "second_valkey_url",
    "upgraded_ledger_url",
]

acceptance = environment
#: Each failure is told at once, by a job that no worker of these tests serves.
NOTIFY = json.dumps(
    {
        "channels": {"ops": {"kind": "command", "command": ["true"]}},
        "notify": [{"on": ["job.fail", "job.crash_loop"], "to": "ops", "every": "1s"}],
    }
)


@pytest.fixture
def environment(acceptance: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    acceptance.setenv("FAILSOFT_JOBS", CRASH_POINT_JOBS)
    acceptance.setenv("FAILSOFT_LEASE", "1s")
    acceptance.setenv("FAILSOFT_NOTIFY", NOTIFY)
    return acceptance


@pytest.fixture
def workers(deployment: Deployment, tmp_path: Path) -> ReplacedWorkers:
    return ReplacedWorkers(deployment, tmp_path / "cells")
