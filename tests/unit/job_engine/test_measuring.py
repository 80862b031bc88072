"""What a process counts, and the batches that it writes of it."""

import os
import threading
from collections import Counter
from multiprocessing import get_context

import pytest

from failsoft.job_engine.measuring import BOUNDS, Measures
from failsoft.job_engine.ports.measures import SUM, Batch, Series

DISPATCHED = Series("dispatched", "welcome", "default", labels="created")
DISPATCH = Series("dispatch", queue="default")
#: More than are kept one by one.
MANY = 10_000


def taken(measures: Measures) -> Counter[Series]:
    """Return what was counted since the last time, and take it for written."""
    batch = measures.take()
    measures.written(batch)
    return Counter(batch.counts if batch is not None else {})


def test_nothing_counted_is_nothing_to_write() -> None:
    assert Measures().take() is None


def test_a_counter_has_what_was_added_to_it() -> None:
    measures = Measures()

    measures.count(DISPATCHED)
    measures.count(DISPATCHED, 3)

    assert taken(measures) == {DISPATCHED: 4}
    assert measures.take() is None


@pytest.mark.parametrize(
    ("seconds", "le", "microseconds"),
    [
        (0.0, "0.0005", 0),
        (0.0005, "0.0005", 500),
        (0.00051, "0.001", 510),
        (5.0, "5", 5_000_000),
        (5.1, "+Inf", 5_100_000),
        (-1.0, "0.0005", 0),
    ],
)
def test_an_observation_is_in_one_bucket_and_in_the_sum(
    seconds: float, le: str, microseconds: int
) -> None:
    measures = Measures()

    measures.observe(DISPATCH, seconds)

    expected = {DISPATCH._replace(le=le): 1, DISPATCH._replace(le=SUM): microseconds}
    assert taken(measures) == expected
    assert le in BOUNDS["dispatch"]


def test_only_what_has_buckets_is_observed() -> None:
    measures = Measures()

    with pytest.raises(KeyError):
        measures.observe(DISPATCHED, 0.1)

    assert measures.take() is None


def test_a_batch_remains_until_it_was_written() -> None:
    measures = Measures()
    measures.count(DISPATCHED)
    first = measures.take()
    measures.count(DISPATCHED, 2)

    assert measures.take() is first
    measures.written(Batch("another", "", {}))
    assert measures.take() is first
    measures.written(first)
    second = measures.take()

    assert first is not None
    assert second is not None
    assert (second.counts, second.after) == ({DISPATCHED: 2}, first.id)


def test_what_threads_count_while_it_is_taken_is_counted_once() -> None:
    measures = Measures()
    found = Counter[Series]()

    def count() -> None:
        for _ in range(MANY):
            measures.count(DISPATCHED)
            measures.observe(DISPATCH, 0.0001)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found += taken(measures)
    found += taken(measures)

    observed = DISPATCH._replace(le="0.0005")
    assert (found[DISPATCHED], found[observed]) == (4 * MANY, 4 * MANY)


def test_what_nobody_takes_is_not_kept_one_by_one() -> None:
    measures = Measures()

    for _ in range(MANY):
        measures.count(DISPATCHED)

    assert len(measures._notes) < MANY / 2
    assert taken(measures) == {DISPATCHED: MANY}


def test_a_fork_writes_nothing_that_its_parent_counted() -> None:
    measures = Measures()
    measures.count(DISPATCHED, 5)
    receiving, sending = os.pipe()

    def count() -> None:
        measures.count(DISPATCHED, 2)
        os.write(sending, str(taken(measures)[DISPATCHED]).encode())

    child = get_context("fork").Process(target=count)
    child.start()
    child.join()
    os.close(sending)

    with os.fdopen(receiving) as counted:
        assert counted.read() == "2"
    assert taken(measures) == {DISPATCHED: 5}
