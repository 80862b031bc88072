"""Both SQL ledgers say and keep what the one in memory does, and every promise, in any order."""

import time

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.databases import Bench
from tests.stateful.machine import machine_on
from tests.stateful.profiles import is_long, profile
from tests.stateful.summary import keep

#: What a long run must have met besides; few machines may come by without it.
SELDOM = frozenset({"begin: CancelRequested", "conclude: Fenced", "record: Fenced"})
#: What every run must have met, or it shows nothing.
SOMETIMES = frozenset(
    {
        "a process died inside a transaction",
        "a reply was lost",
        "begin: Fenced",
        "claim: refused",
        "exhaust: refused",
        "offer: refused",
        "park: refused",
        "retry: UniqueKeyHeldError",
    }
)

pytestmark = pytest.mark.timeout(7200)


def test_sqlite_does_as_the_ledger_in_memory_does(sqlite_url: str) -> None:
    run_on(Bench(sqlite_url), 80)


@pytest.mark.long
def test_postgresql_does_as_the_ledger_in_memory_does(postgres_url: str) -> None:
    run_on(Bench(postgres_url), 120)


def run_on(bench: Bench, quickly: int) -> None:
    started = time.monotonic()

    try:
        run_state_machine_as_test(machine_on(bench), settings=profile(quickly))
    finally:
        bench.database.close()

    keep(bench, time.monotonic() - started)
    missing = (SOMETIMES | SELDOM if is_long() else SOMETIMES) - bench.figures.keys()
    assert not missing, f"expected to meet {sorted(missing)}, got {dict(bench.figures)}"
