"""F46: a clock that jumps and a ledger that takes no writes change nothing that they should not."""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.benches import Bench
from tests.stateful.profiles import profile
from tests.stateful.troubles import troubled_machine_on

SOMETIMES = frozenset(
    {
        "the clock jumped ahead",
        "the clock jumped back",
        "a write was refused: read-only",
        "something was mended",
    }
)

pytestmark = [pytest.mark.timeout(7200), pytest.mark.fault("F46")]


def test_sqlite_does_in_trouble_as_the_ledger_in_memory_does(sqlite_url: str) -> None:
    run_on(Bench(sqlite_url), 16)


def test_postgresql_does_in_trouble_as_the_ledger_in_memory_does(postgres_url: str) -> None:
    run_on(Bench(postgres_url), 12)


def run_on(bench: Bench, quickly: int) -> None:
    try:
        run_state_machine_as_test(troubled_machine_on(bench), settings=profile(quickly))
    finally:
        bench.database.close()

    missing = SOMETIMES - bench.figures.keys()
    assert not missing, f"expected to meet {sorted(missing)}, got {dict(bench.figures)}"
