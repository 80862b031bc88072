"""Carrying an offered job to an engine."""

from datetime import timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import EngineUnavailableError, OfferRefusedError
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from tests.unit.support.attempts import HOUR
from tests.unit.support.memory_app import BUDGET, MemoryApp


def recorded(app: MemoryApp, engine: str = "rq") -> JobRecord:
    new = NewJob("job-1", "welcome", "default", "{}", "sha")
    return app.ledger.record_job(new, OfferPlan(engine, HOUR))[0]


def carry(app: MemoryApp, job: JobRecord, *then: str) -> JobRecord:
    deadline = Deadline.after(app.clock, BUDGET)
    return app.offerer.carry(job, then, DEFAULT, deadline)


def test_a_job_is_offered_to_its_engine() -> None:
    app = MemoryApp()
    job = recorded(app)

    assert carry(app, job, "dramatiq") == job
    assert [m.epoch for m in app.offered(app.rq)] == [1]


def test_the_message_is_signed_for_its_engine_and_epoch() -> None:
    app = MemoryApp()
    app.rq.down()
    carry(app, recorded(app), "dramatiq")

    (message,) = app.offered(app.dramatiq)

    key = app.ledger.signing_keys()[0]
    assert (message.kid, message.mac) == (key.kid, key.mac("job-1", 2, "dramatiq", ""))


def test_each_further_engine_gets_a_newer_epoch() -> None:
    app = MemoryApp()
    app.rq.down()
    app.dramatiq.fail_next(OfferRefusedError("alarm"))

    job = carry(app, recorded(app), "dramatiq", "dramatiq")

    assert (job.engine, job.epoch) == ("dramatiq", 3)


def test_a_job_that_no_engine_takes_is_parked_with_the_last_reason() -> None:
    app = MemoryApp()
    app.rq.down()
    app.dramatiq.down(OfferRefusedError("memory alarm"))

    job = carry(app, recorded(app), "dramatiq")

    assert job.state is JobState.SCHEDULED
    assert app.ledger.events("job-1")[-1].detail == {"reason": "memory alarm"}


def test_a_job_that_was_moved_meanwhile_is_left_alone() -> None:
    app = MemoryApp()
    app.rq.down()
    job = recorded(app)
    moved = app.ledger.offer(job, OfferPlan("dramatiq", HOUR))

    assert carry(app, job, "dramatiq") == job
    assert app.ledger.get("job-1") == moved
    assert app.offered(app.dramatiq) == []


def test_a_job_that_was_cancelled_meanwhile_is_not_parked() -> None:
    app = MemoryApp()
    app.rq.down()
    job = recorded(app)
    app.ledger.cancel("job-1", "ada")

    assert carry(app, job) == job
    assert app.ledger.get("job-1").state is JobState.CANCELLED


def test_each_engine_gets_its_share_of_the_time() -> None:
    app, shares = MemoryApp(), []

    def slow(deadline: Deadline) -> None:
        shares.append(deadline.remaining())
        app.clock.sleep(deadline.remaining())
        raise EngineUnavailableError("timed out")

    app.rq.meanwhile = app.dramatiq.meanwhile = slow

    carry(app, recorded(app), "dramatiq")

    assert shares == [pytest.approx(0.5), pytest.approx(0.5)]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ((1.0, 1.0, 1.0, 1.0), (0.25, 0.25, 0.25, 0.25)),  # all silent: a fourth each
        ((0.0, 1.0, 1.0, 1.0), (0.25, 1 / 3, 1 / 3, 1 / 3)),  # one that fails at once leaves its
        ((0.0, 0.0, 0.0, 1.0), (0.25, 1 / 3, 0.5, 1.0)),  # share to the others, not to the next
    ],
)
def test_engines_of_any_number_share_the_time_that_is_left(
    taken: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    app, shares, parts = MemoryApp(), list[float](), iter(taken)

    def slow(deadline: Deadline) -> None:
        shares.append(deadline.remaining())
        app.clock.sleep(deadline.remaining() * next(parts))
        raise EngineUnavailableError("timed out")

    app.rq.meanwhile = app.dramatiq.meanwhile = slow
    began = app.clock.steady()

    job = carry(app, recorded(app), "dramatiq", "rq", "dramatiq")

    assert shares == [pytest.approx(each) for each in expected]
    assert app.clock.steady() - began <= BUDGET.total_seconds()
    assert (job.state, job.epoch) == (JobState.SCHEDULED, 4)


def test_a_hand_over_emits_an_event_with_its_reason() -> None:
    app = MemoryApp()
    app.rq.down(EngineUnavailableError("connection refused"))

    carry(app, recorded(app), "dramatiq")

    event = next(each for each in app.events if each.detail.get("from"))
    assert (event.engine, event.epoch) == ("dramatiq", 2)
    why = {"reason": "connection refused", "cause": "unavailable"}
    assert event.detail == {"from": "rq", **why}


def test_a_job_waits_longer_each_time_that_it_is_parked() -> None:
    app = MemoryApp()
    app.rq.down()
    waits = []
    job = recorded(app)
    for _ in range(9):
        parked = app.offerer.park(job, "no engine takes offers")
        assert parked is not None
        assert parked.run_at is not None
        waits.append((parked.run_at - app.clock.now()).total_seconds())
        moved = app.ledger.offer(parked, OfferPlan("rq", HOUR))
        assert moved is not None
        job = moved

    assert waits == [1, 1, 2, 4, 8, 16, 30, 30, 30]


def test_what_became_of_each_offer_is_noted_with_the_time_it_took() -> None:
    app = MemoryApp()

    def slow(deadline: Deadline) -> None:
        app.clock.advance(timedelta(seconds=0.25))

    app.rq.meanwhile = slow

    carry(app, recorded(app))

    (attempt,) = app.ledger.tries("job-1")
    assert (attempt.outcome, attempt.elapsed) == ("accepted", 0.25)


def test_an_adapter_that_breaks_its_contract_does_not_lose_the_job() -> None:
    app = MemoryApp()
    app.rq.fail_next(RuntimeError("a bug in an adapter"))

    job = carry(app, recorded(app), "dramatiq")

    assert (job.engine, job.epoch) == ("dramatiq", 2)
