"""Dispatch, step by step: record, offer, fall over, park (docs/architecture.md, steps 1 to 6)."""

from datetime import timedelta

import pytest

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    EngineUnavailableError,
    LedgerUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.records.states import JobState
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import House

FAILURES = {
    EngineUnavailableError("connection refused"): "unavailable",
    OfferRefusedError("OOM"): "refused",
    OfferUncertainError("timed out"): "unknown",
}


def by_outcome(error: Exception) -> str:
    return type(error).__name__


def test_a_job_is_recorded_and_handed_to_the_primary() -> None:
    house = House()

    handle = house.dispatch(Mail(user_id=3))

    job = handle.job()
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "rq", 1)
    assert (job.name, job.queue, job.payload) == ("welcome", "default", '{"user_id":3}')
    assert [(m.job_id, m.epoch) for m in house.offered(house.rq)] == [(job.id, 1)]
    assert house.offered(house.dramatiq) == []
    assert handle.created


def test_the_message_can_be_claimed_by_a_worker() -> None:
    house = House()
    handle = house.dispatch()

    claim = house.work(house.rq)

    assert claim is not None
    assert handle.status() is JobState.RUNNING


def test_an_accepted_offer_is_explained_in_one_try() -> None:
    house = House()

    handle = house.dispatch()

    assert house.tries(handle.id) == [("rq", 1, "offer", "accepted")]


def test_a_dispatch_is_told_once() -> None:
    house = House()

    handle = house.dispatch()

    (event,) = house.heard
    assert (event.kind, event.job_id, event.engine) == ("job.dispatch", handle.id, "rq")


@pytest.mark.parametrize("error", FAILURES, ids=by_outcome)
def test_a_job_that_the_primary_did_not_take_is_handed_over_with_a_new_epoch(
    error: Exception,
) -> None:
    house = House()
    house.rq.fail_next(error)

    handle = house.dispatch()

    job = handle.job()
    assert (job.state, job.engine, job.epoch, job.handoffs) == (JobState.OFFERED, "dramatiq", 2, 1)
    assert [m.epoch for m in house.offered(house.dramatiq)] == [2]
    assert handle.dispatched == job


@pytest.mark.parametrize("error", FAILURES, ids=by_outcome)
def test_every_try_of_a_hand_over_is_explained(error: Exception) -> None:
    house = House()
    house.rq.fail_next(error)

    handle = house.dispatch()

    assert house.tries(handle.id) == [
        ("rq", 1, "offer", FAILURES[error]),
        ("dramatiq", 2, "offer", "accepted"),
    ]
    assert handle.tries()[0].reason == str(error)


def test_an_offer_that_arrived_after_all_is_void_once_the_job_was_handed_over() -> None:
    house = House()
    house.rq.lose_replies()
    handle = house.dispatch()

    assert house.work(house.rq) is None
    assert house.work(house.dramatiq) is not None
    assert handle.job().claims == 1


def test_a_job_that_was_claimed_while_its_offer_was_uncertain_stays_where_it_is() -> None:
    house = House()

    def claimed_and_lost(deadline: Deadline) -> None:
        house.work(house.rq)
        raise OfferUncertainError("timed out")

    house.rq.meanwhile = claimed_and_lost

    handle = house.dispatch()

    assert (handle.status(), handle.job().engine) == (JobState.RUNNING, "rq")
    assert house.offered(house.dramatiq) == []


def test_an_engine_that_failed_is_passed_over_by_the_next_dispatch() -> None:
    house = House()
    house.rq.down()
    house.dispatch()

    handle = house.dispatch()

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 1)
    assert house.tries(handle.id) == [
        ("rq", 1, "breaker", "skipped"),
        ("dramatiq", 1, "offer", "accepted"),
    ]


def test_a_change_of_engine_is_told_once() -> None:
    house = House()
    house.rq.down()

    for _ in range(3):
        house.dispatch()

    assert house.heard.kinds.count("engine.failed_over") == 1


def test_a_job_that_no_engine_takes_is_parked_and_nothing_is_raised() -> None:
    house = House()
    house.rq.down()
    house.dramatiq.down()

    handle = house.dispatch()

    job = handle.job()
    assert (job.state, job.epoch) == (JobState.SCHEDULED, 2)
    assert job.run_at is not None
    assert timedelta(0) < job.run_at - house.clock.now() <= timedelta(seconds=30)
    assert "job.park" in house.heard.kinds


def test_a_job_is_parked_at_once_while_every_breaker_is_open() -> None:
    house = House()
    house.rq.down()
    house.dramatiq.down()
    house.dispatch()

    handle = house.dispatch()

    assert (handle.status(), handle.job().epoch) == (JobState.SCHEDULED, 0)
    assert {stage for _, _, stage, _ in house.tries(handle.id)} == {"breaker"}


def test_an_engine_that_is_switched_off_gets_nothing() -> None:
    house = House(disabled=["rq"])

    handle = house.dispatch()

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 1)
    assert house.offered(house.rq) == []
    assert house.tries(handle.id)[0] == ("rq", 1, "flag", "skipped")


def test_an_engine_that_is_switched_off_is_no_way_out_either() -> None:
    house = House(disabled=["rq"])
    house.dramatiq.down()

    handle = house.dispatch()

    assert handle.status() is JobState.SCHEDULED
    assert house.offered(house.rq) == []


def test_a_job_may_name_its_engines_in_their_order() -> None:
    house = House()

    handle = house.dispatch(engines=["dramatiq", "rq"])

    assert handle.job().engine == "dramatiq"


def test_a_job_is_offered_to_none_but_the_engines_it_names() -> None:
    house = House()
    house.rq.down()

    handle = house.dispatch(engines=["rq"])

    assert (handle.status(), handle.job().engine) == (JobState.SCHEDULED, "rq")
    assert house.offered(house.dramatiq) == []


def test_an_engine_without_live_workers_is_passed_over() -> None:
    house = House()
    house.worker("dramatiq")

    handle = house.dispatch()

    assert handle.job().engine == "dramatiq"
    assert ("rq", 1, "workers", "skipped") in house.tries(handle.id)


def test_a_job_with_a_delay_waits_and_no_engine_hears_of_it() -> None:
    house = House()

    handle = house.dispatch(delay=timedelta(hours=1))

    job = handle.job()
    assert (job.state, job.epoch, job.engine) == (JobState.SCHEDULED, 0, None)
    assert job.run_at == house.clock.now() + timedelta(hours=1)
    assert house.offered(house.rq) == house.offered(house.dramatiq) == []


def test_a_job_may_wait_for_a_moment() -> None:
    house = House()
    moment = house.clock.now() + timedelta(days=3)

    assert house.dispatch(run_at=moment).job().run_at == moment


def test_nothing_is_sent_for_what_the_ledger_did_not_take() -> None:
    house = House()
    house.ledger.down()

    with pytest.raises(LedgerUnavailableError):
        house.dispatch()

    house.ledger.up()
    assert house.offered(house.rq) == []
    assert house.ledger.counts() == {}


@pytest.mark.parametrize("engine_is_down", [False, True])
def test_a_ledger_that_goes_away_after_the_commit_raises_nothing(engine_is_down: bool) -> None:
    house = House()
    house.dispatch()  # so that the keys are known and the workers looked up
    if engine_is_down:
        house.rq.down()
    house.heard.then = house.ledger.down

    handle = house.dispatch()

    house.ledger.up()
    assert handle.status() is JobState.OFFERED


def test_a_ledger_that_goes_away_before_the_message_could_be_signed_raises_nothing() -> None:
    house = House()
    house.heard.then = house.ledger.down

    handle = house.dispatch()

    house.ledger.up()
    assert (handle.status(), handle.job().epoch) == (JobState.OFFERED, 1)


def test_the_offer_is_made_within_the_budget() -> None:
    house, seen = House(), []
    house.rq.meanwhile = lambda deadline: seen.append(deadline.remaining())

    house.dispatch(budget=timedelta(seconds=4))

    # The fallback gets its share of the time.
    assert seen == [2.0]
