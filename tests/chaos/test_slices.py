"""A long run made of several goes on with those that have not passed; a drain is bounded."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.chaos.__main__ import has_passed, main
from tests.chaos.run import LONGEST, drain


def summary(folder: Path, seed: str, *, passed: bool) -> Path:
    file = folder / f"sqlite-{seed}.json"
    file.write_text(json.dumps({"passed": passed}))
    return file


@pytest.mark.parametrize("passed", [True, False])
def test_a_run_has_passed_if_its_summary_says_so(tmp_path: Path, *, passed: bool) -> None:
    assert has_passed(summary(tmp_path, "a-1", passed=passed)) is passed


def test_a_run_without_a_summary_has_not_passed(tmp_path: Path) -> None:
    assert not has_passed(tmp_path / "sqlite-a-1.json")


def test_slices_that_have_passed_are_not_run_again(tmp_path: Path) -> None:
    for number in (1, 2):
        summary(tmp_path, f"a-{number}", passed=True)
    words = ["--seed", "a", "--ledger", "sqlite", "--slices", "2", "--into", str(tmp_path)]

    done = CliRunner().invoke(main, words)

    assert done.exit_code == 0, done.output
    assert done.output.count("has passed before") == 2


@dataclass
class Emptying:
    """A ledger in which so many jobs wait, and some fewer at each look."""

    waiting: int
    ends: int
    looks: list[int] = field(default_factory=list)

    def list_jobs(self, **filters: Any) -> Sequence[int]:
        self.looks.append(self.waiting)
        self.waiting = max(0, self.waiting - self.ends)
        return range(self.looks[-1])


def test_a_drain_goes_on_beyond_its_patience_while_jobs_end() -> None:
    ledger = Emptying(waiting=4, ends=1)

    drain(ledger, patience=1)

    assert ledger.looks == [4, 3, 2, 1, 0]


def test_a_drain_in_which_nothing_ends_is_given_up() -> None:
    ledger = Emptying(waiting=4, ends=0)

    drain(ledger, patience=0.1)

    assert set(ledger.looks) == {4}


def test_a_drain_is_given_up_in_the_end() -> None:
    ledger = Emptying(waiting=10**9, ends=1)

    drain(ledger, patience=0.4)

    assert 1 < len(ledger.looks) <= 2 + LONGEST * 0.4 / 0.3
