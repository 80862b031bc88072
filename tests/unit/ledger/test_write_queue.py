"""Threads of a process that write in turn, and for each other."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from failsoft.ledger.database.sqlite.write_queue import MOST_OTHERS, PendingWrite, WriteQueue
from tests.servers.processes import PATIENCE, wait_until

LONG = timedelta(seconds=PATIENCE)
BRIEF = timedelta(milliseconds=50)

AWrite = PendingWrite[None, None]
Start = Callable[[AWrite], "Waiter"]


class Waiter(threading.Thread):
    """A thread that waits for a turn, and then for the end of the test."""

    def __init__(self, turns: WriteQueue[None], each: AWrite, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._write_queue, self._write, self._over = turns, each, over
        self._awake = threading.Event()
        self.has_turn = False

    def run(self) -> None:
        self._write.thread = threading.get_ident()
        self.has_turn = self._write_queue.acquire(self._write)
        self._awake.set()
        self._over.wait(PATIENCE)

    @property
    def is_awake(self) -> bool:
        return self._awake.is_set()

    def wake(self) -> "Waiter":
        """Return it once it waits no more."""
        assert self._awake.wait(PATIENCE)
        return self


def write(*, is_shared: bool = True) -> AWrite:
    return PendingWrite(lambda _: None, is_shared=is_shared)


@pytest.fixture
def turns() -> WriteQueue[None]:
    return WriteQueue(LONG)


@pytest.fixture
def begin(turns: WriteQueue[None]) -> Iterator[Start]:
    """Start threads, one after the other."""
    over = threading.Event()

    def start(each: AWrite) -> Waiter:
        waiter = Waiter(turns, each, over)
        waiter.start()
        wait_until(
            lambda: each in turns._waiting or waiter.is_awake or turns.has_others,
            PATIENCE,
            "it waits",
        )
        return waiter

    yield start
    over.set()


def begun(start: Start, *writes: AWrite) -> list[Waiter]:
    return [start(each) for each in writes]


def test_one_has_the_turn_and_the_next_one_waits_until_it_is_left(
    turns: WriteQueue[None], begin: Start
) -> None:
    first, second = write(), write()
    assert begin(first).wake().has_turn
    waits = begin(second)

    assert not waits.is_awake

    turns.leave(first)
    assert waits.wake().has_turn


def test_turns_come_in_the_order_of_their_requests(turns: WriteQueue[None], begin: Start) -> None:
    writes = [write() for _ in range(4)]
    waiters = begun(begin, *writes)

    for each, waiter in zip(writes, waiters, strict=True):
        assert waiter.wake().has_turn
        assert [one.is_awake for one in waiters].count(True) == writes.index(each) + 1
        turns.leave(each)


def test_what_waits_is_written_in_the_turn_of_another(
    turns: WriteQueue[None], begin: Start
) -> None:
    first, *others = (write() for _ in range(4))
    waiters = begun(begin, first, *others)

    taken = turns.take_batch()
    turns.finish_others()
    # A thread that is awake leaves, and so wakes the next.
    for each, waiter in zip(others, waiters[1:], strict=True):
        assert not waiter.wake().has_turn
        turns.leave(each)

    assert list(taken) == others
    assert all(each.is_done for each in others)
    assert not turns.has_others


def test_a_transaction_of_its_own_gets_the_turn_after_those_that_share(
    turns: WriteQueue[None], begin: Start
) -> None:
    first, alone, shared = write(), write(is_shared=False), write()
    _, its, _ = begun(begin, first, alone, shared)

    assert turns.take_batch() == (shared,)

    turns.finish_others()
    turns.leave(first)
    assert its.wake().has_turn


def test_so_many_are_taken_and_no_more(turns: WriteQueue[None], begin: Start) -> None:
    first, *others = (write() for _ in range(MOST_OTHERS + 2))
    begun(begin, first, *others)

    assert turns.take_batch() == tuple(others[:MOST_OTHERS])

    turns.finish_others()
    for each in (first, *others):
        turns.leave(each)


def test_what_is_given_back_comes_first_and_is_shared_no_more(
    turns: WriteQueue[None], begin: Start
) -> None:
    first, one, other = write(), write(), write()
    waiters = begun(begin, first, one, other)
    turns.take_batch()
    late = write()
    waiters.append(begin(late))

    turns.give_others_back()

    assert list(turns._waiting) == [one, other, late]
    assert turns.take_batch() == (late,)
    turns.finish_others()
    for each, waiter in zip((first, one, other), waiters, strict=False):
        assert waiter.wake().has_turn
        turns.leave(each)
    waiters[-1].wake()
    assert late.is_done


def test_who_is_interrupted_with_writes_of_others_gives_them_back(
    turns: WriteQueue[None], begin: Start
) -> None:
    first, other = write(), write()
    _, waits = begun(begin, first, other)
    turns.take_batch()

    turns.leave(first)

    assert waits.wake().has_turn
    assert not other.is_done


def test_who_waits_in_vain_goes_on_without_a_turn(begin: Start, turns: WriteQueue[None]) -> None:
    turns._patience = BRIEF.total_seconds()
    first, second, third = write(), write(), write()
    begin(first).wake()
    waited = begin(second).wake()

    assert (waited.has_turn, second.is_done) == (False, False)

    # No writer passes the turn to one that is gone.
    turns.leave(second)
    turns.leave(first)
    assert begin(third).wake().has_turn


def test_who_is_being_written_for_waits_for_the_end_of_that(
    turns: WriteQueue[None], begin: Start
) -> None:
    class TakenAsItsPatienceEnds(PendingWrite[None, None]):
        def wait(self, seconds: float) -> bool:
            if turns.has_others:
                return super().wait(seconds)
            assert turns.take_batch() == (self,)
            return False

    first, second = write(), TakenAsItsPatienceEnds(lambda _: None)
    turns.acquire(first)
    waits = begin(second)
    assert turns.has_others

    assert not waits.is_awake

    turns.finish_others()
    waits.wake()
    assert second.is_done
    turns.leave(first)


def test_who_has_the_turn_waits_for_no_second_one(turns: WriteQueue[None]) -> None:
    outer, inner = write(), write()
    assert turns.acquire(outer)

    assert not turns.acquire(inner)

    turns.leave(inner)
    assert turns._owner is outer
    turns.leave(outer)


@pytest.mark.parametrize("when", ["before it is taken", "after"])
def test_who_was_interrupted_while_it_waited_breaks_nothing(
    turns: WriteQueue[None], begin: Start, when: str
) -> None:
    first, gone, other = write(), write(), write()
    waiters = begun(begin, first, gone, other)

    if when == "after":
        turns.take_batch()
    turns.leave(gone)
    if when != "after":
        turns.take_batch()
    turns.finish_others()

    waiters[2].wake()
    assert other.is_done
    turns.leave(other)
    turns.leave(first)


def test_who_is_woken_for_nothing_waits_on(turns: WriteQueue[None], begin: Start) -> None:
    first, second = write(), write()
    _, waits = begun(begin, first, second)

    second.notify()

    with pytest.raises(AssertionError, match="wait for nothing"):
        wait_until(lambda: waits.is_awake, BRIEF.total_seconds(), "wait for nothing")
    turns.leave(first)
    assert waits.wake().has_turn
