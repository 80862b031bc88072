"""What became of offers, written a moment later."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine.ports.measures import Batch
from failsoft.job_engine.records.job import DispatchTry, TryOutcome
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.telemetry import Event
from failsoft.testing import FrozenClock, MemoryLedger
from tests.servers.processes import PATIENCE
from tests.unit.support.attempts import HOUR, EventList, exit_code_of_a_child

#: Longer than a flush that waits for nothing takes.
A_WHILE = 0.2
ACCEPTED = DispatchTry("rq", 1, "offer", TryOutcome.ACCEPTED)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger(FrozenClock())
    for n in range(20):
        new = NewJob(f"job-{n}", "welcome", "default", "{}", "sha")
        ledger.record_job(new, OfferPlan("rq", HOUR))
    return ledger


def written(ledger: MemoryLedger) -> list[int]:
    return [n for n in range(20) if ledger.tries(f"job-{n}")]


def wait_for(ledger: MemoryLedger, count: int) -> None:
    patience_ends, pause = time.monotonic() + PATIENCE, threading.Event()
    while len(written(ledger)) < count and time.monotonic() < patience_ends:
        pause.wait(0.01)


def test_a_try_is_written_in_the_background(ledger: MemoryLedger) -> None:
    log = TryLog(ledger)

    log.add("job-0", ACCEPTED)
    wait_for(ledger, 1)

    assert written(ledger) == [0]


def test_many_tries_are_written_by_one_thread(ledger: MemoryLedger) -> None:
    before, log = threading.active_count(), TryLog(ledger)

    for n in range(20):
        log.add(f"job-{n}", ACCEPTED)
    at_once = threading.active_count() - before
    wait_for(ledger, 20)

    assert at_once <= 1
    assert written(ledger) == list(range(20))


def test_a_try_that_comes_after_the_others_were_written_is_written_too(
    ledger: MemoryLedger,
) -> None:
    log = TryLog(ledger)
    for n in range(3):
        log.add(f"job-{n}", ACCEPTED)
        wait_for(ledger, n + 1)

    assert written(ledger) == [0, 1, 2]


def test_what_was_collected_is_written_when_the_program_ends(ledger: MemoryLedger) -> None:
    log = TryLog(ledger)
    log.add("job-0", ACCEPTED)

    log.flush()

    assert written(ledger) == [0]


class SlowLedger(MemoryLedger):
    """Takes its time to note tries."""

    def __init__(self) -> None:
        super().__init__(FrozenClock())
        self.begun, self.goes_on, self.noted = threading.Event(), threading.Event(), False

    def note_tries(
        self, tries: Sequence[tuple[str, DispatchTry]], measured: Batch | None = None
    ) -> None:
        if tries:
            self.begun.set()
            assert self.goes_on.wait(PATIENCE)
            self.noted = True


def test_flushing_waits_for_what_is_being_written() -> None:
    ledger = SlowLedger()
    log = TryLog(ledger)
    log.add("job-0", ACCEPTED)
    assert ledger.begun.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(log.flush)
        with pytest.raises(TimeoutError):
            flushed.result(A_WHILE)
        ledger.goes_on.set()
        flushed.result(PATIENCE)

    assert ledger.noted


def test_without_a_background_a_try_is_written_at_once(ledger: MemoryLedger) -> None:
    TryLog(ledger, background=False).add("job-0", ACCEPTED)

    assert written(ledger) == [0]


def test_a_ledger_that_is_away_costs_the_explanation_and_nothing_else(
    ledger: MemoryLedger,
) -> None:
    log = TryLog(ledger, background=False)
    ledger.down()

    log.add("job-0", ACCEPTED)
    ledger.up()
    log.add("job-1", ACCEPTED)

    assert written(ledger) == [1]


def test_an_empty_log_writes_nothing_to_the_ledger(ledger: MemoryLedger) -> None:
    ledger.down()

    TryLog(ledger).flush()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_writes_its_own_and_leaves_the_parents_to_the_parent(
    ledger: MemoryLedger,
) -> None:
    log = TryLog(ledger)
    log.add("job-0", ACCEPTED)

    def in_the_child() -> int:
        # The parent may have written by now, of which this is a copy.
        before = written(ledger)
        log.add("job-1", ACCEPTED)
        log.flush()
        return 0 if written(ledger) == [*before, 1] else 1

    assert exit_code_of_a_child(in_the_child) == 0
    wait_for(ledger, 1)
    assert written(ledger) == [0]


def test_a_failover_is_recorded_once_the_ledger_is_back(ledger: MemoryLedger) -> None:
    heard = EventList()
    log = TryLog(ledger, background=False)
    listen = log.listening(heard)
    ledger.down()
    listen(Event("engine.failed_over", engine="rq", detail={"reason": "away"}))
    listen(Event("engine.queue_refused", engine="rq"))
    ledger.up()
    assert ledger.notices().items == []

    log.flush()
    log.flush()

    [found] = ledger.notices().items
    assert (found.kind, found.engine, found.detail) == (
        *("engine.failed_over", "rq"),
        {"reason": "away"},
    )
    assert heard.kinds == ["engine.failed_over", "engine.queue_refused"]
