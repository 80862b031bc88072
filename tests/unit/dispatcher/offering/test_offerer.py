"""Carrying an offered job to an engine."""

from datetime import timedelta

import pytest

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import EngineUnavailableError, OfferRefusedError
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.unit.support.attempts import HOUR
from tests.unit.support.memory_app import BUDGET, House


def recorded(house: House, engine: str = "rq") -> JobRecord:
    new = NewJob("job-1", "welcome", "default", "{}", "sha")
    return house.ledger.record_job(new, OfferPlan(engine, HOUR))[0]


def carry(house: House, job: JobRecord, *then: str) -> JobRecord:
    deadline = Deadline.after(house.clock, BUDGET)
    return house.offerer.carry(job, then, DEFAULT, deadline)


def test_a_job_is_offered_to_its_engine() -> None:
    house = House()
    job = recorded(house)

    assert carry(house, job, "dramatiq") == job
    assert [m.epoch for m in house.offered(house.rq)] == [1]


def test_the_message_is_signed_for_its_engine_and_epoch() -> None:
    house = House()
    house.rq.down()
    carry(house, recorded(house), "dramatiq")

    (message,) = house.offered(house.dramatiq)

    key = house.ledger.signing_keys()[0]
    assert (message.kid, message.mac) == (key.kid, key.mac("job-1", 2, "dramatiq", ""))


def test_each_further_engine_gets_a_newer_epoch() -> None:
    house = House()
    house.rq.down()
    house.dramatiq.fail_next(OfferRefusedError("alarm"))

    job = carry(house, recorded(house), "dramatiq", "dramatiq")

    assert (job.engine, job.epoch) == ("dramatiq", 3)


def test_a_job_that_no_engine_takes_is_parked_with_the_last_reason() -> None:
    house = House()
    house.rq.down()
    house.dramatiq.down(OfferRefusedError("memory alarm"))

    job = carry(house, recorded(house), "dramatiq")

    assert job.state is JobState.SCHEDULED
    assert house.ledger.events("job-1")[-1].detail == {"reason": "memory alarm"}


def test_a_job_that_somebody_moved_meanwhile_is_left_to_them() -> None:
    house = House()
    house.rq.down()
    job = recorded(house)
    moved = house.ledger.offer(job, OfferPlan("dramatiq", HOUR))

    assert carry(house, job, "dramatiq") == job
    assert house.ledger.get("job-1") == moved
    assert house.offered(house.dramatiq) == []


def test_a_job_that_was_cancelled_meanwhile_is_not_parked() -> None:
    house = House()
    house.rq.down()
    job = recorded(house)
    house.ledger.cancel("job-1", "somebody")

    assert carry(house, job) == job
    assert house.ledger.get("job-1").state is JobState.CANCELLED


def test_each_engine_gets_its_share_of_the_time() -> None:
    house, shares = House(), []

    def slow(deadline: Deadline) -> None:
        shares.append(deadline.remaining())
        house.clock.sleep(deadline.remaining())
        raise EngineUnavailableError("timed out")

    house.rq.meanwhile = house.dramatiq.meanwhile = slow

    carry(house, recorded(house), "dramatiq")

    assert shares == [pytest.approx(0.5), pytest.approx(0.5)]


def test_a_hand_over_is_told_with_its_reason() -> None:
    house = House()
    house.rq.down(EngineUnavailableError("connection refused"))

    carry(house, recorded(house), "dramatiq")

    event = next(each for each in house.heard if each.detail.get("from"))
    assert (event.engine, event.epoch) == ("dramatiq", 2)
    assert event.detail == {"from": "rq", "reason": "connection refused"}


def test_a_job_waits_longer_each_time_that_it_is_parked() -> None:
    house = House()
    house.rq.down()
    waits = []
    job = recorded(house)
    for _ in range(9):
        parked = house.offerer.park(job, "no engine takes offers")
        assert parked is not None
        assert parked.run_at is not None
        waits.append((parked.run_at - house.clock.now()).total_seconds())
        moved = house.ledger.offer(parked, OfferPlan("rq", HOUR))
        assert moved is not None
        job = moved

    assert waits == [1, 1, 2, 4, 8, 16, 30, 30, 30]


def test_what_became_of_each_offer_is_noted_with_the_time_it_took() -> None:
    house = House()

    def slow(deadline: Deadline) -> None:
        house.clock.advance(timedelta(seconds=0.25))

    house.rq.meanwhile = slow

    carry(house, recorded(house))

    (attempt,) = house.ledger.tries("job-1")
    assert (attempt.outcome, attempt.elapsed) == ("accepted", 0.25)


def test_an_adapter_that_breaks_its_contract_does_not_lose_the_job() -> None:
    house = House()
    house.rq.fail_next(RuntimeError("a bug in an adapter"))

    job = carry(house, recorded(house), "dramatiq")

    assert (job.engine, job.epoch) == ("dramatiq", 2)
