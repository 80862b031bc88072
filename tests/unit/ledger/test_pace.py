"""The size of the next transaction, by how long the one before took."""

import pytest

from failsoft.ledger.upkeep.pace import AIM, FIRST, LEAST, Pace

MOST = 500


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def after(*took: float, is_full: bool = True, waited: float = 0.0) -> int:
    """Return the size of the next transaction after some that took so long."""
    clock = Clock()
    pace = Pace(MOST, clock)
    for each in took:
        with pace.kept(is_full=is_full) as begin:
            clock.now += waited
            begin()
            clock.now += each
    return pace.at_most(MOST)


def test_it_begins_with_a_few() -> None:
    assert after() == FIRST


def test_a_quick_transaction_is_followed_by_a_larger_one_up_to_the_most() -> None:
    assert FIRST < after(AIM / 10) < MOST
    assert after(*[AIM / 10] * 20) == MOST


def test_a_slow_one_is_followed_by_a_smaller_one_down_to_the_least() -> None:
    assert LEAST < after(AIM * 1.5) < FIRST
    assert after(*[AIM * 100] * 20) == LEAST


def test_the_wait_for_the_turn_to_write_is_no_part_of_it() -> None:
    assert after(AIM, waited=60.0) == FIRST


def test_one_that_found_less_than_it_may_take_says_nothing() -> None:
    assert after(AIM / 10, is_full=False) == FIRST


@pytest.mark.parametrize("limit", [1, FIRST - 1])
def test_a_limit_is_never_exceeded(limit: int) -> None:
    assert Pace(MOST).at_most(limit) == limit
