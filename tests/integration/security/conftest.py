"""The stage of the acceptance tests."""

from tests.integration.acceptance.conftest import (
    addresses,
    bytecode,
    environment,
    fallback_url,
    gate,
    second_valkey_url,
    stage,
    upgraded_ledger_url,
)

__all__ = [
    "addresses",
    "bytecode",
    "environment",
    "fallback_url",
    "gate",
    "second_valkey_url",
    "stage",
    "upgraded_ledger_url",
]
