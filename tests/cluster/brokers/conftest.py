"""Deployments on a broker that fails over; the ledger, which is not on trial, is a file."""

import uuid

import pytest


@pytest.fixture
def ledger_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def addresses(upgraded_ledger_url: str, broker: dict[str, str]) -> dict[str, str]:
    """The ledger, and the one engine there is."""
    return {"FAILSOFT_LEDGER_URL": upgraded_ledger_url, **broker}


@pytest.fixture
def namespace() -> str:
    """What no other ledger's is on the broker, which outlives a test."""
    return f"test-{uuid.uuid4().hex[:8]}"
