"""Definitions of a program that has imported no engine with jobs of its own."""

import pytest

from failsoft.job_engine.definitions import importing


@pytest.fixture(autouse=True)
def nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the jobs of engines that other tests of this process have imported."""
    monkeypatch.setattr(importing, "_shipped", {})
