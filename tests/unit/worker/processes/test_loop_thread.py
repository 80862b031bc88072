"""Work that is done again and again, whatever becomes of one time."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.worker.processes.loop_thread import LoopThread, SoonAtFirst, at_intervals
from tests.servers.processes import PATIENCE, wait_until

OFTEN = timedelta(milliseconds=5)
Start = Callable[[Callable[[], object]], LoopThread]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[LoopThread] = []

    def begin(work: Callable[[], object]) -> LoopThread:
        started.append(LoopThread("looking", at_intervals(OFTEN), work))
        started[-1].start()
        return started[-1]

    yield begin
    for each in started:
        each.stop()


def test_work_begins_at_once_and_goes_on(start: Start) -> None:
    calls: list[None] = []

    start(lambda: calls.append(None))

    wait_until(lambda: len(calls) >= 3, PATIENCE, "three calls")


def test_nothing_is_done_after_the_stop(start: Start) -> None:
    calls: list[None] = []
    periodic = start(lambda: calls.append(None))
    wait_until(lambda: calls, PATIENCE, "a call")

    periodic.stop()
    count = len(calls)

    assert not periodic._thread.is_alive()
    assert len(calls) == count


def test_an_outage_of_the_ledger_is_reported_once_and_so_is_its_end(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    calls: list[None] = []

    def work() -> None:
        calls.append(None)
        if len(calls) <= 3:
            raise LedgerUnavailableError

    start(work)

    wait_until(lambda: len(calls) >= 5, PATIENCE, "five calls")
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 2
    assert logged[0].startswith("looking: The ledger's database did not answer")
    assert logged[1] == "looking: the ledger is back"


def test_any_other_error_is_reported_and_the_work_goes_on(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[None] = []

    def work() -> None:
        calls.append(None)
        if len(calls) == 1:
            raise ValueError("out of the blue")

    start(work)

    wait_until(lambda: len(calls) >= 2, PATIENCE, "two calls")
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname) == ("looking failed", "ERROR")
    assert record.exc_info


def test_work_may_stop_itself(start: Start) -> None:
    ready = threading.Event()
    found: list[LoopThread] = []

    def work() -> None:
        ready.wait(PATIENCE)
        found[0].stop()

    found.append(start(work))
    ready.set()

    wait_until(lambda: not found[0]._thread.is_alive(), PATIENCE, "its end")


def test_work_that_is_woken_for_does_not_wait_for_its_time() -> None:
    calls: list[None] = []
    rarely = LoopThread("looking", lambda: None, lambda: calls.append(None))
    rarely.start()
    wait_until(lambda: len(calls) == 1, PATIENCE, "the first call")

    rarely.wake()

    wait_until(lambda: len(calls) == 2, PATIENCE, "the requested call")
    rarely.stop()
    assert not rarely._thread.is_alive()


def test_work_that_comes_sooner_than_the_next_call_is_not_left_until_then() -> None:
    calls: list[None] = []
    rarely = LoopThread("looking", lambda: 3600.0, lambda: calls.append(None))
    rarely.start()
    wait_until(lambda: len(calls) == 1, PATIENCE, "the first call")

    rarely.wake_within(60.0)

    wait_until(lambda: len(calls) == 2, PATIENCE, "the call for it")
    rarely.stop()


def test_work_that_the_next_call_is_soon_enough_for_wakes_nothing() -> None:
    paused = threading.Event()

    def pause() -> float:
        paused.set()
        return 3600.0

    rarely = LoopThread("looking", pause, lambda: None)
    rarely.start()
    assert paused.wait(PATIENCE)
    wait_until(lambda: rarely._sleeps_until < float("inf"), PATIENCE, "its sleep")

    rarely.wake_within(7200.0)

    assert not rarely._woken.is_set()
    rarely.stop()


def test_what_has_come_to_nothing_yet_is_tried_again_soon_and_then_at_its_interval() -> None:
    pauses = SoonAtFirst(timedelta(seconds=1))

    before = [pauses() for _ in range(20)]
    pauses.succeeded()
    after = [pauses() for _ in range(20)]

    assert before[:5] == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert all(each is not None and 0.8 <= each <= 1.2 for each in [*before[5:], *after])


def test_it_is_never_tried_less_often_than_at_its_interval() -> None:
    pauses = SoonAtFirst(timedelta(seconds=0.01))

    assert all(each is not None and each <= 0.012 for each in [pauses() for _ in range(20)])
