"""Whichever worker is done first, each test runs once."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.order import ROOT, SECONDS, SESSION, Shares, file_of, is_left_over, shares

WORKERS = 4
ALL = sorted(str(each.relative_to(ROOT)) for each in (ROOT / "tests").rglob("test_*.py"))


class Node:
    """A worker: it runs a test when it knows the next one, or that there is none."""

    def __init__(self) -> None:
        self.queue: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, tests: Sequence[int]) -> None:
        assert not self.shutting_down, "expected no test for a worker that ends"
        self.queue += tests

    def shutdown(self) -> None:
        assert not self.shutting_down, "expected a worker to be ended once"
        self.shutting_down = True

    @property
    def can_run(self) -> bool:
        return len(self.queue) > 1 or (bool(self.queue) and self.shutting_down)


@pytest.mark.parametrize("workers", [1, 2, 7, 9, 40])
def test_each_file_is_one_worker_s_or_left_over(workers: int) -> None:
    own = [file for share in shares(workers) for file in share]

    left_over = [file for file in ALL if is_left_over(file)]
    assert sorted(own + left_over) == ALL


def test_no_share_is_much_longer_than_another() -> None:
    loads = [sum(SECONDS.get(file, 1) for file in share) for share in shares(7)]

    assert max(loads) - min(loads) <= max(SECONDS.values())


@pytest.fixture
def scheduler(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[Shares]:
    """One of four workers, whose count of tests is not that of this run."""
    before, pytestconfig.stash[SESSION] = request.session.testscollected, request.session
    yield Shares(pytestconfig, WORKERS)
    request.session.testscollected = before


def begun(scheduler: Shares) -> dict[Any, list[str]]:
    """Let four workers begin; return what each has collected."""
    left_over = [f"{file}::test_{n}" for file in ALL if is_left_over(file) for n in range(2)]
    found: dict[Any, list[str]] = {
        Node(): [f"{file}::test_{n}" for file in share for n in range(3)] + left_over
        for share in shares(WORKERS)
    }
    for node, tests in found.items():
        scheduler.add_node(node)
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    return found


@pytest.mark.parametrize("seed", range(20))
def test_each_test_runs_once_whichever_worker_is_done_first(
    scheduler: Shares, request: pytest.FixtureRequest, seed: int
) -> None:
    chance = random.Random(seed)
    collected = begun(scheduler)

    ran = Counter[str]()
    while able := [node for node in collected if node.can_run]:
        node = chance.choice(able)
        test = node.queue.pop(0)
        ran[collected[node][test]] += 1
        scheduler.mark_test_complete(node, test)

    assert scheduler.tests_finished
    assert all(node.shutting_down for node in collected)
    assert ran.keys() == {test for tests in collected.values() for test in tests}
    assert ran.total() == len(ran) == request.session.testscollected
    assert {file_of(test) for test in ran} == set(ALL)


def test_what_comes_in_the_place_of_a_worker_that_died_runs_nothing(scheduler: Shares) -> None:
    collected = begun(scheduler)
    before = [len(node.queue) for node in collected]
    replacement: Any = Node()

    scheduler.add_node(replacement)
    scheduler.add_node_collection(replacement, next(iter(collected.values())))
    scheduler.schedule()

    assert replacement.shutting_down
    assert replacement.queue == []
    assert [len(node.queue) for node in collected] == before
