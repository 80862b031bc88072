"""The page of evidence says what the figures say, and no run that it shows has failed."""

from tests.evidence.__main__ import PAGE
from tests.evidence.figures import all_in, one
from tests.evidence.page import page


def test_the_page_is_made_of_the_figures() -> None:
    assert PAGE.read_text() == page(), "run `make evidence`"


def test_no_promise_was_broken_in_the_runs_it_shows() -> None:
    sound = [run for run in all_in("model") if "mutation" not in run]
    broken = [run for run in all_in("model") if "mutation" in run]

    assert not any(run["violated"] for run in sound)
    assert all(set(run["expected"]) <= set(run["violated"]) for run in broken)
    assert not any(run["violations"] for run in all_in("chaos"))
    assert not (one("simulation/simulation") or {"failed": []})["failed"]
