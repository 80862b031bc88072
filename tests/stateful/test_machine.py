"""Both SQL ledgers say and keep what the one in memory does, and every promise, in any order."""

import time

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.benches import Bench
from tests.stateful.machine import machine_on
from tests.stateful.profiles import profile
from tests.stateful.summary import keep

#: What a run must have met, or it shows nothing.
SOMETIMES = frozenset(
    {
        "a process died inside a transaction",
        "a reply was lost",
        "begin: CancelRequested",
        "begin: Fenced",
        "claim: refused",
        "conclude: Fenced",
        "exhaust: refused",
        "offer: refused",
        "park: refused",
        "record: Fenced",
    }
)

pytestmark = pytest.mark.timeout(7200)


def test_sqlite_does_as_the_ledger_in_memory_does(sqlite_url: str) -> None:
    run_on(Bench(sqlite_url), 80)


def test_postgresql_does_as_the_ledger_in_memory_does(postgres_url: str) -> None:
    run_on(Bench(postgres_url), 50)


def run_on(bench: Bench, quickly: int) -> None:
    started = time.monotonic()

    try:
        run_state_machine_as_test(machine_on(bench), settings=profile(quickly))
    finally:
        bench.database.close()

    keep(bench, time.monotonic() - started)
    missing = SOMETIMES - bench.figures.keys()
    assert not missing, f"expected to meet {sorted(missing)}, got {dict(bench.figures)}"
