"""A commit covers every offset before it, so none is committed before those are decided."""

import random
import threading

from failsoft.engines.kafka.offsets import Offsets


def test_an_offset_is_ready_once_when_it_is_decided() -> None:
    offsets = Offsets()
    offsets.take(0, 7)

    offsets.decide(0, 7)

    assert offsets.ready() == {0: 8}
    assert offsets.ready() == {}


def test_an_offset_waits_for_those_that_were_taken_before_it() -> None:
    offsets = Offsets()
    for each in (7, 8, 9):
        offsets.take(0, each)

    offsets.decide(0, 9)
    offsets.decide(0, 8)
    assert offsets.ready() == {}

    offsets.decide(0, 7)
    assert offsets.ready() == {0: 10}


def test_a_partition_waits_for_no_other() -> None:
    offsets = Offsets()
    offsets.take(0, 7)
    offsets.take(1, 3)

    offsets.decide(1, 3)

    assert offsets.ready() == {1: 4}


def test_gaps_between_offsets_are_passed_over() -> None:
    offsets = Offsets()
    offsets.take(0, 7)
    offsets.take(0, 12)

    offsets.decide(0, 7)
    offsets.decide(0, 12)

    assert offsets.ready() == {0: 13}


def test_nothing_is_ready_of_a_partition_that_is_lost() -> None:
    offsets = Offsets()
    offsets.take(0, 7)
    offsets.forget(0)

    offsets.decide(0, 7)

    assert offsets.ready() == {}


def test_what_is_taken_again_after_a_loss_waits_for_its_own_decision() -> None:
    offsets = Offsets()
    offsets.take(0, 7)
    offsets.forget(0)
    offsets.take(0, 6)
    offsets.take(0, 7)

    offsets.decide(0, 7)

    assert offsets.ready() == {}


def test_what_many_threads_decide_is_ready_as_a_whole() -> None:
    offsets = Offsets()
    for each in range(400):
        offsets.take(0, each)
    order = list(range(400))
    random.Random(1).shuffle(order)
    threads = [
        threading.Thread(target=lambda part=part: [offsets.decide(0, each) for each in part])
        for part in (order[start::8] for start in range(8))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert offsets.ready() == {0: 400}
