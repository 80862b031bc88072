"""Steps 1 to 6 of docs/explain/architecture.md: record, offer, fall over, park."""

from datetime import timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    EngineUnavailableError,
    LedgerUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import MemoryApp

FAILURES = {
    EngineUnavailableError("connection refused"): "unavailable",
    OfferRefusedError("OOM"): "refused",
    OfferUncertainError("timed out"): "unknown",
}


def by_outcome(error: Exception) -> str:
    return type(error).__name__


def test_a_job_is_recorded_and_handed_to_the_primary() -> None:
    app = MemoryApp()

    handle = app.dispatch(Mail(user_id=3))

    job = handle.job()
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "rq", 1)
    assert (job.name, job.queue, job.payload) == ("welcome", "default", '{"user_id":3}')
    assert [(m.job_id, m.epoch) for m in app.offered(app.rq)] == [(job.id, 1)]
    assert app.offered(app.dramatiq) == []
    assert handle.created


def test_the_message_can_be_claimed_by_a_worker() -> None:
    app = MemoryApp()
    handle = app.dispatch()

    claim = app.work(app.rq)

    assert claim is not None
    assert handle.status() is JobState.RUNNING


def test_an_accepted_offer_is_explained_in_one_try() -> None:
    app = MemoryApp()

    handle = app.dispatch()

    assert app.tries(handle.id) == [("rq", 1, "offer", "accepted")]


def test_a_dispatch_emits_one_event() -> None:
    app = MemoryApp()

    handle = app.dispatch()

    (event,) = app.events
    assert (event.kind, event.job_id, event.engine) == ("job.dispatch", handle.id, "rq")


@pytest.mark.parametrize("error", FAILURES, ids=by_outcome)
def test_a_job_that_the_primary_did_not_take_is_handed_over_with_a_new_epoch(
    error: Exception,
) -> None:
    app = MemoryApp()
    app.rq.fail_next(error)

    handle = app.dispatch()

    job = handle.job()
    assert (job.state, job.engine, job.epoch, job.handoffs) == (JobState.OFFERED, "dramatiq", 2, 1)
    assert [m.epoch for m in app.offered(app.dramatiq)] == [2]
    assert handle.dispatched == job


@pytest.mark.parametrize("error", FAILURES, ids=by_outcome)
def test_every_try_of_a_hand_over_is_explained(error: Exception) -> None:
    app = MemoryApp()
    app.rq.fail_next(error)

    handle = app.dispatch()

    assert app.tries(handle.id) == [
        ("rq", 1, "offer", FAILURES[error]),
        ("dramatiq", 2, "offer", "accepted"),
    ]
    assert handle.tries()[0].reason == str(error)


def test_an_offer_that_arrived_after_all_is_void_once_the_job_was_handed_over() -> None:
    app = MemoryApp()
    app.rq.lose_replies()
    handle = app.dispatch()

    assert app.work(app.rq) is None
    assert app.work(app.dramatiq) is not None
    assert handle.job().claims == 1


def test_a_job_that_was_claimed_while_its_offer_was_uncertain_stays_where_it_is() -> None:
    app = MemoryApp()

    def claimed_and_lost(deadline: Deadline) -> None:
        app.work(app.rq)
        raise OfferUncertainError("timed out")

    app.rq.meanwhile = claimed_and_lost

    handle = app.dispatch()

    assert (handle.status(), handle.job().engine) == (JobState.RUNNING, "rq")
    assert app.offered(app.dramatiq) == []


def test_an_engine_that_failed_is_passed_over_by_the_next_dispatch() -> None:
    app = MemoryApp()
    app.rq.down()
    app.dispatch()

    handle = app.dispatch()

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 1)
    assert app.tries(handle.id) == [
        ("rq", 1, "breaker", "skipped"),
        ("dramatiq", 1, "offer", "accepted"),
    ]


def test_a_change_of_engine_emits_one_event() -> None:
    app = MemoryApp()
    app.rq.down()

    for _ in range(3):
        app.dispatch()

    assert app.events.kinds.count("engine.failed_over") == 1


def test_a_job_that_no_engine_takes_is_parked_and_nothing_is_raised() -> None:
    app = MemoryApp()
    app.rq.down()
    app.dramatiq.down()

    handle = app.dispatch()

    job = handle.job()
    assert (job.state, job.epoch) == (JobState.SCHEDULED, 2)
    assert job.run_at is not None
    assert timedelta(0) < job.run_at - app.clock.now() <= timedelta(seconds=30)
    assert "job.park" in app.events.kinds


def test_a_job_is_parked_at_once_while_every_breaker_is_open() -> None:
    app = MemoryApp()
    app.rq.down()
    app.dramatiq.down()
    app.dispatch()

    handle = app.dispatch()

    assert (handle.status(), handle.job().epoch) == (JobState.SCHEDULED, 0)
    assert {runner for _, _, runner, _ in app.tries(handle.id)} == {"breaker"}


def test_an_engine_that_is_switched_off_gets_nothing() -> None:
    app = MemoryApp(disabled=["rq"])

    handle = app.dispatch()

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 1)
    assert app.offered(app.rq) == []
    assert app.tries(handle.id)[0] == ("rq", 1, "flag", "skipped")


def test_an_engine_that_is_switched_off_is_no_way_out_either() -> None:
    app = MemoryApp(disabled=["rq"])
    app.dramatiq.down()

    handle = app.dispatch()

    assert handle.status() is JobState.SCHEDULED
    assert app.offered(app.rq) == []


def test_a_job_may_name_its_engines_in_their_order() -> None:
    app = MemoryApp()

    handle = app.dispatch(engines=["dramatiq", "rq"])

    assert handle.job().engine == "dramatiq"


def test_a_job_is_offered_to_none_but_the_engines_it_names() -> None:
    app = MemoryApp()
    app.rq.down()

    handle = app.dispatch(engines=["rq"])

    assert (handle.status(), handle.job().engine) == (JobState.SCHEDULED, "rq")
    assert app.offered(app.dramatiq) == []


def test_an_engine_without_live_workers_is_passed_over() -> None:
    app = MemoryApp()
    app.worker("dramatiq")

    handle = app.dispatch()

    assert handle.job().engine == "dramatiq"
    assert ("rq", 1, "workers", "skipped") in app.tries(handle.id)


def test_a_job_with_a_delay_waits_and_is_offered_to_no_engine() -> None:
    app = MemoryApp()

    handle = app.dispatch(delay=timedelta(hours=1))

    job = handle.job()
    assert (job.state, job.epoch, job.engine) == (JobState.SCHEDULED, 0, None)
    assert job.run_at == app.clock.now() + timedelta(hours=1)
    assert app.offered(app.rq) == app.offered(app.dramatiq) == []


def test_a_job_may_wait_for_a_moment() -> None:
    app = MemoryApp()
    moment = app.clock.now() + timedelta(days=3)

    assert app.dispatch(run_at=moment).job().run_at == moment


def test_nothing_is_sent_for_what_the_ledger_did_not_take() -> None:
    app = MemoryApp()
    app.ledger.down()

    with pytest.raises(LedgerUnavailableError):
        app.dispatch()

    app.ledger.up()
    assert app.offered(app.rq) == []
    assert app.ledger.counts() == {}


@pytest.mark.parametrize("engine_is_down", [False, True])
def test_a_ledger_that_goes_away_after_the_commit_raises_nothing(engine_is_down: bool) -> None:
    app = MemoryApp()
    app.dispatch()  # so that the keys are known and the workers looked up
    if engine_is_down:
        app.rq.down()
    app.events.then = app.ledger.down

    handle = app.dispatch()

    app.ledger.up()
    assert handle.status() is JobState.OFFERED


def test_a_ledger_that_goes_away_before_the_message_could_be_signed_raises_nothing() -> None:
    app = MemoryApp()
    app.events.then = app.ledger.down

    handle = app.dispatch()

    app.ledger.up()
    assert (handle.status(), handle.job().epoch) == (JobState.OFFERED, 1)


def test_the_offer_is_made_within_the_budget() -> None:
    app, seen = MemoryApp(), []
    app.rq.meanwhile = lambda deadline: seen.append(deadline.remaining())

    app.dispatch(budget=timedelta(seconds=4))

    # The fallback gets its share of the time.
    assert seen == [2.0]
