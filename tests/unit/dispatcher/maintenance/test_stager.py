"""The stager: offers what is due."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.stager import BATCH
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import RETRY
from tests.unit.support.memory_app import MemoryApp

HOUR = timedelta(hours=1)


def test_a_job_is_offered_when_its_time_has_come() -> None:
    app = MemoryApp()
    handle = app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)

    taken = app.stager.tick()

    job = handle.job()
    assert (taken, job.state, job.engine, job.epoch) == (1, JobState.OFFERED, "rq", 1)
    assert [m.job_id for m in app.offered(app.rq)] == [handle.id]


def test_a_job_is_not_offered_before_its_time() -> None:
    app = MemoryApp()
    handle = app.dispatch(delay=HOUR)
    app.clock.advance(HOUR - timedelta(seconds=1))

    assert app.stager.tick() == 0
    assert handle.status() is JobState.SCHEDULED


def test_a_retry_is_offered_when_its_time_has_come() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    claim = app.work(app.rq)
    assert claim is not None
    app.ledger.conclude(claim, Conclusion(RETRY, delay=HOUR))
    app.clock.advance(HOUR)

    app.stager.tick()

    second = app.work(app.rq)
    assert second is not None
    assert (second.job_id, second.attempt, second.epoch) == (handle.id, 2, 2)


def test_a_parked_job_is_offered_once_an_engine_is_back() -> None:
    app = MemoryApp()
    app.rq.down()
    app.dramatiq.down()
    handle = app.dispatch()
    app.dramatiq.up()
    _close_breakers(app)
    app.clock.advance(timedelta(seconds=30))

    app.stager.tick()

    assert (handle.job().state, handle.job().engine) == (JobState.OFFERED, "dramatiq")


def test_a_job_stays_due_while_no_engine_takes_offers() -> None:
    app = MemoryApp()
    handle = app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)
    app.engines.failed("rq", "timed out")
    app.engines.failed("dramatiq", "timed out")

    assert app.stager.tick() == 0
    assert (handle.status(), handle.job().epoch) == (JobState.SCHEDULED, 0)


def test_a_due_job_falls_over_to_the_other_engine() -> None:
    app = MemoryApp()
    handle = app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)
    app.rq.down()

    app.stager.tick()

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 2)


def test_the_most_urgent_jobs_are_taken_first() -> None:
    app = MemoryApp()
    for _ in range(BATCH):
        app.dispatch(delay=HOUR, priority=1)
    late = app.dispatch(delay=HOUR, priority=0)
    app.clock.advance(HOUR)

    taken = app.stager.tick()

    assert (taken, late.status()) == (BATCH, JobState.SCHEDULED)


def test_two_schedulers_offer_a_job_once() -> None:
    app = MemoryApp()
    handle = app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)

    first, second = app.stager.tick(), app.stager.tick()

    assert (first, second) == (1, 0)
    assert (handle.job().epoch, len(app.offered(app.rq))) == (1, 1)


def test_a_job_that_another_scheduler_took_meanwhile_is_left_to_it() -> None:
    app = MemoryApp()
    app.dispatch(delay=HOUR)
    app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)

    def the_other_one_takes_all() -> None:
        app.events.then = lambda: None
        app.stager.tick()

    app.events.then = the_other_one_takes_all

    assert app.stager.tick() == 1
    assert len(app.offered(app.rq)) == 2


def test_a_ledger_that_is_away_raises() -> None:
    app = MemoryApp()
    app.ledger.down()

    with pytest.raises(LedgerUnavailableError):
        app.stager.tick()


def test_jobs_that_wait_for_a_broken_engine_do_not_hold_up_the_others() -> None:
    app = MemoryApp()
    for _ in range(BATCH):
        app.dispatch(delay=HOUR, engines=["rq"])
    app.clock.advance(HOUR)
    app.engines.failed("rq", "timed out")
    free = app.dispatch(delay=timedelta(0))

    for _ in range(3):
        app.stager.tick()

    assert (free.job().state, free.job().engine) == (JobState.OFFERED, "dramatiq")


def _close_breakers(app: MemoryApp) -> None:
    for _ in range(3):
        app.clock.advance(timedelta(seconds=2))
        app.engines.check()


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_of_many_due_jobs_the_most_urgent_are_offered_first_on_either_engine(engine: str) -> None:
    app = MemoryApp()
    urgency = [0, -100, 7, 100, 7, -3, 0]
    handles = [app.dispatch(delay=HOUR, priority=each, engines=(engine,)) for each in urgency]
    app.clock.advance(HOUR)

    app.stager.tick()

    adapter = {"rq": app.rq, "dramatiq": app.dramatiq}[engine]
    offered = [message.job_id for message in app.offered(adapter)]
    of = dict(zip((handle.id for handle in handles), urgency, strict=True))
    assert [of[job_id] for job_id in offered] == sorted(urgency, reverse=True)
