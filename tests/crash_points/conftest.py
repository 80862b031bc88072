"""The stage of the acceptance tests, and a crew of workers that can be replaced quickly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash_points.replaced_workers import CREW_JOBS, Crew
from tests.deployments.deployment import Stage
from tests.deployments.fixtures import (
    addresses,
    environment,
    fallback_url,
    gate,
    second_valkey_url,
    stage,
    upgraded_ledger_url,
)

__all__ = [
    "addresses",
    "fallback_url",
    "gate",
    "second_valkey_url",
    "stage",
    "upgraded_ledger_url",
]

acceptance = environment


@pytest.fixture
def environment(acceptance: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    acceptance.setenv("FAILSOFT_JOBS", CREW_JOBS)
    acceptance.setenv("FAILSOFT_LEASE", "1s")
    return acceptance


@pytest.fixture
def crew(stage: Stage, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(stage, tmp_path / "cells")
    yield crew
    crew.end()
