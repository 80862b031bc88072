"""Whichever worker is done first, each test runs once."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.order import ROOT, SECONDS, SESSION, Shares, file_of, is_left_over, shares

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


@pytest.mark.parametrize("seed", range(20))
def test_each_test_runs_once_whichever_worker_is_done_first(
    pytestconfig: pytest.Config, request: pytest.FixtureRequest, seed: int
) -> None:
    chance = random.Random(seed)
    left_over = [f"{file}::test_{n}" for file in ALL if is_left_over(file) for n in range(2)]
    divided = shares(4)
    nodes: list[Any] = [Node() for _ in divided]
    collected = {
        node: [f"{file}::test_{n}" for file in share for n in range(3)] + left_over
        for node, share in zip(nodes, divided, strict=True)
    }
    pytestconfig.stash[SESSION] = request.session
    before = request.session.testscollected
    scheduler = Shares(pytestconfig, len(nodes))
    for node, tests in collected.items():
        scheduler.add_node(node)
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    counted, request.session.testscollected = request.session.testscollected, before

    ran: Counter[str] = Counter()
    while able := [node for node in nodes if node.can_run]:
        node = chance.choice(able)
        test = node.queue.pop(0)
        ran[collected[node][test]] += 1
        scheduler.mark_test_complete(node, test)

    assert scheduler.tests_finished
    assert all(node.shutting_down for node in nodes)
    assert ran.keys() == {test for tests in collected.values() for test in tests}
    assert ran.total() == len(ran) == counted
    assert {file_of(test) for test in ran} == set(ALL)
