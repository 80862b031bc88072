"""A worker whose every slot is lost is distinguished from one whose jobs take long."""

from datetime import timedelta

import pytest

from failsoft.job_engine.attempt.interrupts import Fenced, Interrupt, Released, TimedOut
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.records.job import Claim
from failsoft.testing import FrozenClock
from failsoft.worker.attempts.slot_watch import LOOKS, PATIENCE, SlotWatch
from tests.unit.worker.attempts.offered_job import OfferedJob

CLAIM = OfferedJob().claim()


class Floor:
    """Two slots, one of which is in our code and stands still."""

    def __init__(self, slots: int = 1) -> None:
        self.clock = FrozenClock()
        self.held: list[tuple[Claim, Lease]] = []
        self.watch = SlotWatch(slots, lambda: self.held, self.clock)

    def moves_after(self, span: timedelta, looks: int = LOOKS) -> bool:
        """Look as often within a span, and return what the last look says."""
        moves = self.watch.any_moves()
        for _ in range(looks):
            self.clock.advance(span / looks)
            moves = self.watch.any_moves()
        return moves


def test_a_slot_that_stands_still_in_our_code_is_lost() -> None:
    floor = Floor()

    with floor.watch.slot():
        assert floor.moves_after(PATIENCE / 2)
        assert not floor.moves_after(PATIENCE)

    assert floor.watch.any_moves()


def test_one_slot_that_is_free_is_enough() -> None:
    floor = Floor(slots=2)

    with floor.watch.slot():
        assert floor.moves_after(PATIENCE * 10)


def test_an_end_that_nothing_records_is_in_the_way_of_none_but_ends() -> None:
    floor = Floor(slots=2)

    with floor.watch.slot() as first, floor.watch.slot() as second:
        first.leave(lambda: None)
        assert floor.moves_after(PATIENCE * 2)
        second.leave(lambda: None)
        assert not floor.moves_after(PATIENCE)


def test_a_slot_that_goes_on_to_the_next_part_of_its_work_moves() -> None:
    floor = Floor()

    with floor.watch.slot() as slot:
        for _ in range(5):
            slot.move()
            assert floor.moves_after(PATIENCE * 0.9)


def test_a_process_that_was_stopped_for_long_looks_again_before_it_gives_up() -> None:
    floor = Floor()

    with floor.watch.slot():
        assert floor.moves_after(PATIENCE * 10, looks=1)


@pytest.mark.parametrize("revoked", [None, Released])
def test_a_long_attempt_is_no_lost_slot(revoked: type[Interrupt] | None) -> None:
    floor, lease = Floor(), Lease()
    floor.held = [(CLAIM, lease)]

    with floor.watch.slot() as slot, lease.job_code():
        slot.move(CLAIM)
        if revoked is not None:
            lease.revoke(revoked)
        assert floor.moves_after(timedelta(days=1))


@pytest.mark.parametrize("revoked", [Fenced, TimedOut])
def test_an_attempt_that_goes_on_although_it_was_stopped_is_a_lost_slot(
    revoked: type[Interrupt],
) -> None:
    floor, lease = Floor(), Lease()
    floor.held = [(CLAIM, lease)]

    with floor.watch.slot() as slot, lease.job_code():
        slot.move(CLAIM)
        lease.revoke(revoked)
        assert not floor.moves_after(PATIENCE)


def test_an_attempt_that_waits_for_the_ledger_is_no_lost_slot() -> None:
    floor, lease = Floor(), Lease()
    floor.held = [(CLAIM, lease)]

    with floor.watch.slot() as slot:
        slot.move(CLAIM)
        lease.calling_ledger()
        assert floor.moves_after(timedelta(days=1))
        lease.answered()
        assert not floor.moves_after(PATIENCE)


def test_a_step_that_waits_for_its_next_try_is_no_lost_slot() -> None:
    floor, lease = Floor(), Lease()
    floor.held = [(CLAIM, lease)]

    with floor.watch.slot() as slot:
        slot.move(CLAIM)
        for _ in range(20):
            # As the pause between two tries does.
            lease.check()
            assert floor.moves_after(PATIENCE / 10)


def test_slots_that_waited_for_a_ledger_that_was_away_begin_anew() -> None:
    floor = Floor()

    with floor.watch.slot():
        floor.moves_after(PATIENCE * 0.9)
        floor.watch.begin_anew()
        assert floor.moves_after(PATIENCE * 0.9)
