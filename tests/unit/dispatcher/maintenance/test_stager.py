"""The stager: offers what is due."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.stager import BATCH
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import RETRY, JobState
from tests.unit.support.memory_app import House

HOUR = timedelta(hours=1)


def test_a_job_is_offered_when_its_time_has_come() -> None:
    house = House()
    handle = house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)

    taken = house.stager.tick()

    job = handle.job()
    assert (taken, job.state, job.engine, job.epoch) == (1, JobState.OFFERED, "rq", 1)
    assert [m.job_id for m in house.offered(house.rq)] == [handle.id]


def test_a_job_is_not_offered_before_its_time() -> None:
    house = House()
    handle = house.dispatch(delay=HOUR)
    house.clock.advance(HOUR - timedelta(seconds=1))

    assert house.stager.tick() == 0
    assert handle.status() is JobState.SCHEDULED


def test_a_retry_is_offered_when_its_time_has_come() -> None:
    house = House()
    handle = house.dispatch()
    claim = house.work(house.rq)
    assert claim is not None
    house.ledger.conclude(claim, Conclusion(RETRY, delay=HOUR))
    house.clock.advance(HOUR)

    house.stager.tick()

    second = house.work(house.rq)
    assert second is not None
    assert (second.job_id, second.attempt, second.epoch) == (handle.id, 2, 2)


def test_a_parked_job_is_offered_once_an_engine_is_back() -> None:
    house = House()
    house.rq.down()
    house.dramatiq.down()
    handle = house.dispatch()
    house.dramatiq.up()
    _close_breakers(house)
    house.clock.advance(timedelta(seconds=30))

    house.stager.tick()

    assert (handle.job().state, handle.job().engine) == (JobState.OFFERED, "dramatiq")


def test_a_job_stays_due_while_no_engine_takes_offers() -> None:
    house = House()
    handle = house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)
    house.engines.failed("rq", "timed out")
    house.engines.failed("dramatiq", "timed out")

    assert house.stager.tick() == 0
    assert (handle.status(), handle.job().epoch) == (JobState.SCHEDULED, 0)


def test_a_due_job_falls_over_to_the_other_engine() -> None:
    house = House()
    handle = house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)
    house.rq.down()

    house.stager.tick()

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 2)


def test_the_most_urgent_jobs_are_taken_first() -> None:
    house = House()
    for _ in range(BATCH):
        house.dispatch(delay=HOUR, priority=1)
    late = house.dispatch(delay=HOUR, priority=0)
    house.clock.advance(HOUR)

    taken = house.stager.tick()

    assert (taken, late.status()) == (BATCH, JobState.SCHEDULED)


def test_two_schedulers_offer_a_job_once() -> None:
    house = House()
    handle = house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)

    first, second = house.stager.tick(), house.stager.tick()

    assert (first, second) == (1, 0)
    assert (handle.job().epoch, len(house.offered(house.rq))) == (1, 1)


def test_a_job_that_another_scheduler_took_meanwhile_is_left_to_it() -> None:
    house = House()
    house.dispatch(delay=HOUR)
    house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)

    def the_other_one_takes_all() -> None:
        house.heard.then = lambda: None
        house.stager.tick()

    house.heard.then = the_other_one_takes_all

    assert house.stager.tick() == 1
    assert len(house.offered(house.rq)) == 2


def test_a_ledger_that_is_away_is_told() -> None:
    house = House()
    house.ledger.down()

    with pytest.raises(LedgerUnavailableError):
        house.stager.tick()


def test_jobs_that_wait_for_a_broken_engine_do_not_hold_up_the_others() -> None:
    house = House()
    for _ in range(BATCH):
        house.dispatch(delay=HOUR, engines=["rq"])
    house.clock.advance(HOUR)
    house.engines.failed("rq", "timed out")
    free = house.dispatch(delay=timedelta(0))

    for _ in range(3):
        house.stager.tick()

    assert (free.job().state, free.job().engine) == (JobState.OFFERED, "dramatiq")


def _close_breakers(house: House) -> None:
    for _ in range(3):
        house.clock.advance(timedelta(seconds=2))
        house.engines.check()


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_of_many_due_jobs_the_most_urgent_are_offered_first_on_either_engine(engine: str) -> None:
    house = House()
    urgency = [0, -100, 7, 100, 7, -3, 0]
    handles = [house.dispatch(delay=HOUR, priority=each, engines=(engine,)) for each in urgency]
    house.clock.advance(HOUR)

    house.stager.tick()

    adapter = {"rq": house.rq, "dramatiq": house.dramatiq}[engine]
    offered = [message.job_id for message in house.offered(adapter)]
    of = dict(zip((handle.id for handle in handles), urgency, strict=True))
    assert [of[job_id] for job_id in offered] == sorted(urgency, reverse=True)
