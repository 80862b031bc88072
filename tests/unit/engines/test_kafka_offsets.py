"""A commit covers every offset before it, so none is committed before those are decided."""

import random
import threading

from failsoft.engines.kafka.offsets import Offsets


def offsets() -> tuple[Offsets, list[tuple[int, int]]]:
    committed: list[tuple[int, int]] = []
    return Offsets(lambda partition, offset: committed.append((partition, offset))), committed


def test_an_offset_is_committed_when_it_is_decided() -> None:
    found, committed = offsets()
    found.take(0, 7)

    found.decide(0, 7)

    assert committed == [(0, 8)]


def test_an_offset_waits_for_those_that_were_taken_before_it() -> None:
    found, committed = offsets()
    for each in (7, 8, 9):
        found.take(0, each)

    found.decide(0, 9)
    found.decide(0, 8)
    assert committed == []

    found.decide(0, 7)
    assert committed == [(0, 10)]


def test_a_partition_waits_for_no_other() -> None:
    found, committed = offsets()
    found.take(0, 7)
    found.take(1, 3)

    found.decide(1, 3)

    assert committed == [(1, 4)]


def test_gaps_between_offsets_are_passed_over() -> None:
    found, committed = offsets()
    found.take(0, 7)
    found.take(0, 12)

    found.decide(0, 7)
    found.decide(0, 12)

    assert committed == [(0, 8), (0, 13)]


def test_nothing_is_committed_of_a_partition_that_is_lost() -> None:
    found, committed = offsets()
    found.take(0, 7)
    found.forget(0)

    found.decide(0, 7)

    assert committed == []


def test_what_is_taken_again_after_a_loss_waits_for_its_own_decision() -> None:
    found, committed = offsets()
    found.take(0, 7)
    found.forget(0)
    found.take(0, 6)
    found.take(0, 7)

    found.decide(0, 7)

    assert committed == []


def test_commits_of_many_threads_only_grow() -> None:
    found, committed = offsets()
    for each in range(400):
        found.take(0, each)
    order = list(range(400))
    random.Random(1).shuffle(order)
    threads = [
        threading.Thread(target=lambda part=part: [found.decide(0, each) for each in part])
        for part in (order[start::8] for start in range(8))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert committed == sorted(committed)
    assert committed[-1] == (0, 400)
