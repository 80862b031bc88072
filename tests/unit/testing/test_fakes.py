"""The fakes that ship: what they add to the promises of the ports."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    EngineUnavailableError,
    LedgerUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.testing import FrozenClock, MemoryEngine, MemoryLedger
from tests.unit.support.attempts import HOUR, AttemptRunner

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def message(epoch: int = 1) -> Message:
    return Message(1, "job-1", epoch, "k1", secrets.token_hex(32))


def offer(engine: MemoryEngine, what: Message) -> None:
    engine.offer(what, DEFAULT, Deadline(FrozenClock(), 1))


def is_healthy(engine: MemoryEngine) -> bool:
    return engine.probe(DEFAULT, Deadline(FrozenClock(), 1)).healthy


def record(ledger: MemoryLedger) -> str:
    new = NewJob(secrets.token_hex(8), "welcome", "default", "{}", "sha")
    return ledger.record_job(new, OfferPlan("rq", HOUR))[0].id


def test_a_frozen_clock_stands_still() -> None:
    clock = FrozenClock()

    assert (clock.now(), clock.now(), clock.steady()) == (NEW_YEAR, NEW_YEAR, 0)


def test_a_frozen_clock_begins_at_the_given_time() -> None:
    moment = datetime(2030, 5, 6, tzinfo=UTC)

    assert FrozenClock(moment).now() == moment


def test_a_frozen_clock_goes_on_when_advanced() -> None:
    clock = FrozenClock()

    clock.advance(timedelta(seconds=90))

    assert (clock.now() - NEW_YEAR, clock.steady()) == (timedelta(seconds=90), 90)


def test_who_sleeps_by_a_frozen_clock_is_at_the_end_of_it_at_once() -> None:
    clock = FrozenClock()

    clock.sleep(2.5)
    clock.sleep(-1)

    assert (clock.steady(), clock.slept) == (2.5, [2.5, -1])


def test_who_sleeps_for_what_is_left_of_a_deadline_gets_past_it() -> None:
    clock = FrozenClock()
    deadline = Deadline.after(clock, timedelta(seconds=0.3))

    while not deadline.passed:
        clock.sleep(min(0.1, deadline.remaining()))

    assert len(clock.slept) <= 4


def test_a_memory_ledger_that_is_down_changes_nothing() -> None:
    ledger = MemoryLedger(FrozenClock())
    ledger.down()

    with pytest.raises(LedgerUnavailableError):
        record(ledger)

    ledger.up()
    assert ledger.counts() == {}


def test_a_memory_ledger_may_fail_so_often_and_no_oftener() -> None:
    ledger = MemoryLedger(FrozenClock())
    ledger.fail_next(2)

    for _ in range(2):
        with pytest.raises(LedgerUnavailableError):
            ledger.counts()

    assert ledger.counts() == {}


def test_a_memory_ledger_that_loses_a_reply_has_done_what_was_requested() -> None:
    ledger = MemoryLedger(FrozenClock())
    ledger.lose_replies()

    with pytest.raises(LedgerUnavailableError):
        record(ledger)

    assert ledger.counts() == {JobState.OFFERED: 1}


def test_records_of_a_memory_ledger_do_not_change_behind_ones_back() -> None:
    runner = AttemptRunner()
    before = runner.job

    runner.claim()

    assert before.state is JobState.OFFERED


def test_a_memory_engine_gives_what_it_was_offered_in_order() -> None:
    engine, first, second = MemoryEngine(), message(1), message(2)
    offer(engine, first)
    offer(engine, second)

    assert engine.messages(DEFAULT) == [first, second]
    assert [engine.take(DEFAULT) for _ in range(3)] == [first, second, None]


def test_a_memory_engine_keeps_duplicates_as_a_broker_may() -> None:
    engine, twice = MemoryEngine(), message()

    offer(engine, twice)
    offer(engine, twice)

    assert engine.messages(DEFAULT) == [twice, twice]


def test_a_memory_engine_may_deliver_again_what_was_taken() -> None:
    engine, again = MemoryEngine(), message()
    offer(engine, again)
    engine.take(DEFAULT)

    engine.redeliver(again)

    assert engine.take(DEFAULT) == again


def test_a_memory_engine_may_lose_its_data() -> None:
    engine = MemoryEngine()
    offer(engine, message())

    engine.drop_messages()

    assert engine.take(DEFAULT) is None


@pytest.mark.parametrize("error", [None, OfferRefusedError("OOM"), OfferUncertainError("late")])
def test_a_memory_engine_that_is_down_takes_nothing_and_says_why(error: Exception | None) -> None:
    engine = MemoryEngine()
    engine.down(error)

    with pytest.raises(type(error) if error else EngineUnavailableError):
        offer(engine, message())

    assert not is_healthy(engine)
    assert engine.messages(DEFAULT) == []


def test_a_memory_engine_that_is_up_again_takes_offers() -> None:
    engine = MemoryEngine()
    engine.down()

    engine.up()
    offer(engine, message())

    assert is_healthy(engine)
    assert len(engine.messages(DEFAULT)) == 1


def test_a_memory_engine_may_fail_once() -> None:
    engine = MemoryEngine()
    engine.fail_next(OfferRefusedError("OOM"))

    with pytest.raises(OfferRefusedError):
        offer(engine, message())
    offer(engine, message())

    assert len(engine.messages(DEFAULT)) == 1
    assert is_healthy(engine)


def test_a_memory_engine_that_loses_a_reply_has_taken_the_offer() -> None:
    engine, lost = MemoryEngine(), message()
    engine.lose_replies()

    with pytest.raises(OfferUncertainError):
        offer(engine, lost)
    offer(engine, message(2))

    assert engine.take(DEFAULT) == lost


def test_a_memory_engine_has_the_name_it_is_given() -> None:
    assert (MemoryEngine().name, MemoryEngine("rq").name) == ("memory", "rq")
