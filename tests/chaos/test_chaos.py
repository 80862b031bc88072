"""About ninety seconds of chaos, as a test; `make chaos` goes on for longer."""

import pytest
from rich.console import Console

from tests.chaos.__main__ import perform, show
from tests.chaos.plan import Plan
from tests.chaos.progress import Progress

SEED = "failsoft"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_promise_is_kept_while_everything_breaks() -> None:
    console = Console(width=160)
    console.print(f"seed {SEED}")

    report = perform(Plan(seed=SEED, load=3, faults=35, rate=2), Progress(console))

    show(report, console)
    assert not report.violations
    assert not report.shortcomings
