"""Everything at once, under every fault, from seeds: no promise breaks, and every job ends."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from failsoft.ledger import SqlLedger
from failsoft.testing import MemoryLedger
from tests.simulation import seeds
from tests.simulation.mutants.breaks import BREAKS, ForgetsOffers
from tests.simulation.mutants.clock_breaks import BREAKS_OF_CLOCKS
from tests.simulation.mutants.feature_breaks import BREAKS_OF_FEATURES, TakesEffectTwice
from tests.simulation.mutants.route_breaks import BREAKS_OF_ROUTES
from tests.simulation.processes.databases import sqlite_ledger
from tests.simulation.run import Run, World
from tests.simulation.sometimes import SOMETIMES
from tests.simulation.summary import keep, seen_in

#: They meet everything together, and few could be left out; `make test-long` runs thousands.
SEEDS = (12, 19, 100, 131, 195, 204, 205, 206, 207, 209, 263, 319)
#: They meet transactions.
SEEDS_ON_SQLITE = (13, 18, 21)
#: One in which routes change: a job's engine is drawn by its id.
ROUTED = 195
#: A broken rule is found within sixty seeds: these.
ENOUGH = range(73, 133)
#: The one that found a rule is tried first; the code may have changed what it meets. Where all of
#: `ENOUGH` are tried for many of them, look up which find them now: that is most of these tests.
FOUND_BY = {
    "BeginsDoubtsAgain": 100,
    "BeginsUnasked": 80,
    "ClaimsAnyEpoch": 76,
    "ConcludesById": 90,
    "ExpiresNothing": 103,
    "ForgetsOffers": 73,
    "ForgetsRunning": 75,
    "KnowsNoKeys": 75,
    "KnowsNoLimits": 83,
    "LeadsNowhere": 83,
    "LosesEvents": 89,
    "LosesTicks": 74,
    "MendsNothing": 77,
    "MovesById": 380,
    "MovesWhatIsRecorded": 111,
    "OffersById": 77,
    "PausesNothing": 84,
    "RecordsUnfenced": 75,
    "ReplacesTheBegun": 89,
    "RetriesWithoutKeys": 107,
    "SetsNothingBack": 81,
    "SetsNothingOff": 73,
    "TrustsLeases": 81,
    "WaitsForNothing": 80,
}
EVERY_BREAK = {**BREAKS, **BREAKS_OF_FEATURES, **BREAKS_OF_CLOCKS, **BREAKS_OF_ROUTES}


def test_no_seed_breaks_a_promise_and_together_they_meet_everything() -> None:
    runs = [World(seed).run() for seed in SEEDS]

    keep(runs)
    expect_sound(runs)
    missing = SOMETIMES - seen_in(runs).keys()
    assert not missing, f"expected to meet {sorted(missing)} in {len(SEEDS)} seeds"


def test_seeds_on_sqlite_break_no_promise_and_meet_transactions(tmp_path: Path) -> None:
    """Their course is another: SQLite has its own order, that of the random ids."""
    runs = [run_on_sqlite(tmp_path, seed, SqlLedger) for seed in SEEDS_ON_SQLITE]

    assert not [report for run in runs for report in run.wrong]
    assert seen_in(runs)["it succeeded: booking"]


@pytest.mark.long
def test_a_transaction_that_takes_effect_twice_is_found(tmp_path: Path) -> None:
    runs = (run_on_sqlite(tmp_path, seed, TakesEffectTwice) for seed in SEEDS_ON_SQLITE)

    assert any("I11" in report for run in runs for report in run.wrong)


def test_the_seeds_that_failed_once_fail_no_more() -> None:
    expect_sound([World(seed).run() for seed in seeds.kept()])


@pytest.mark.parametrize("seed", [7, ROUTED], ids=["plain", "routes"])
def test_a_seed_is_one_run(seed: int) -> None:
    first, second = World(seed).run(), World(seed).run()

    assert (first.digest, first.moments, first.seen) == (
        second.digest,
        second.moments,
        second.seen,
    )
    assert World(seed + 1).run().digest != first.digest


@pytest.mark.long
@pytest.mark.parametrize("broken", EVERY_BREAK, ids=lambda broken: broken.__name__)
def test_a_rule_that_is_broken_is_found(broken: type[MemoryLedger]) -> None:
    first = FOUND_BY.get(broken.__name__, ENOUGH[0])
    runs = (World(seed, broken).run() for seed in (first, *ENOUGH))

    found = (each for run in runs for each in run.wrong)
    assert any(EVERY_BREAK[broken] in each for each in found)


def test_a_seed_that_fails_says_how_to_replay_it() -> None:
    run = next(run for seed in ENOUGH if (run := World(seed, ForgetsOffers).run()).wrong)

    lines = list(seeds.report(run))

    assert lines[1].strip() == f"python -m tests.simulation --seed {run.seed}"
    assert "I1" in lines[2]


def expect_sound(runs: Sequence[Run]) -> None:
    failed = [run for run in runs if run.wrong]
    for run in failed:
        seeds.keep(run)
    assert not failed, "\n".join(line for run in failed for line in seeds.report(run))


def run_on_sqlite(folder: Path, seed: int, kind: type[SqlLedger]) -> Run:
    path = folder / f"{kind.__name__}-{seed}.db"
    with ExitStack() as stack:
        return World(
            seed, lambda clock: stack.enter_context(sqlite_ledger(path, clock, kind))
        ).run()
