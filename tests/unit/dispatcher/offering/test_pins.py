"""F40: jobs that may only run on engines that this program does not have are not its to judge.

Here it has `rq` and `dramatiq`; another one has `kafka`, too.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.late_offers import BATCH
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord, Ticket
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from tests.unit.support.memory_app import MemoryApp

pytestmark = pytest.mark.fault("F40")

LEASE = timedelta(seconds=60)
NOW = timedelta(0)
PINNED = NewJob("pinned", "send_mail", "default", "{}", "sha", engines=("kafka",))


def record(app: MemoryApp, job: NewJob = PINNED, engine: str | None = "kafka") -> JobRecord:
    """Record a job as the program does that has the engine."""
    plan = None if engine is None else OfferPlan(engine, DEFAULT.pickup)
    return app.ledger.record_job(job, plan)[0]


def run(app: MemoryApp, job: JobRecord) -> None:
    shown = Ticket(job.id, job.epoch, str(job.engine), job.queue, "c" * 8, "worker", LEASE)
    assert app.ledger.claim(shown) is not None


def look_for_long(app: MemoryApp) -> None:
    """Let everything run out that can, and look at each turn."""
    for _ in range(20):
        app.rescuer.tick()
        app.stager.tick()
        app.clock.advance(LEASE)


@pytest.mark.parametrize("has_workers", [True, False])
def test_an_offer_of_anothers_engine_is_left_as_it_is(*, has_workers: bool) -> None:
    app = MemoryApp()
    app.workers()
    if has_workers:
        app.worker("kafka", ttl=timedelta(days=1))
    job = record(app)

    look_for_long(app)

    assert app.ledger.get(job.id) == job


def test_a_due_job_of_anothers_engine_is_left_as_it_is() -> None:
    app = MemoryApp()
    app.workers()
    job = record(app, replace(PINNED, delay=NOW), None)

    look_for_long(app)

    assert app.ledger.get(job.id) == job


@pytest.mark.parametrize("crashes", [0, MAX_CRASHES - 1])
def test_a_running_job_of_anothers_engine_is_charged_nothing(crashes: int) -> None:
    app = MemoryApp()
    app.workers()
    job = record(app)
    for _ in range(crashes):
        run(app, job)
        moved = app.ledger.offer(app.ledger.get(job.id), OfferPlan("kafka", LEASE))
        assert moved is not None
        job = moved
    run(app, job)
    before = app.ledger.get(job.id)

    look_for_long(app)

    assert app.ledger.get(job.id) == before
    assert before.crashes == crashes


@pytest.mark.parametrize("offered", [True, False])
def test_batches_of_them_delay_no_other_job(*, offered: bool) -> None:
    app = MemoryApp()
    app.workers()
    for n in range(2 * BATCH):
        foreign = replace(PINNED, id=f"pinned-{n}", delay=NOW, priority=100)
        record(app, foreign, "kafka" if offered else None)
    ours = replace(PINNED, id="ours", delay=NOW, engines=("kafka", "rq"))
    record(app, ours, "dramatiq" if offered else None)
    app.clock.advance(DEFAULT.pickup * 2)

    app.rescuer.tick()
    app.stager.tick()

    job = app.ledger.get("ours")
    assert (job.state, job.engine) == (JobState.OFFERED, "rq")


def test_one_that_may_also_run_here_moves_when_the_other_engine_has_no_workers() -> None:
    app = MemoryApp()
    app.workers()
    job = record(app, replace(PINNED, engines=("kafka", "rq")))

    app.clock.advance(DEFAULT.pickup * 2)
    app.rescuer.tick()

    moved = app.ledger.get(job.id)
    assert (moved.engine, moved.epoch) == ("rq", 2)


@pytest.mark.parametrize("engines", [(), ("kafka", "rq")])
def test_and_is_left_to_the_programs_of_an_engine_that_has_workers(
    engines: tuple[str, ...],
) -> None:
    app = MemoryApp()
    app.workers()
    app.worker("kafka")
    job = record(app, replace(PINNED, engines=engines))

    app.clock.advance(DEFAULT.pickup * 2)
    app.rescuer.tick()

    assert app.ledger.get(job.id) == job


def test_a_pin_to_an_engine_that_is_switched_off_here_is_left_to_others_too() -> None:
    off, on = MemoryApp(disabled=["rq"]), MemoryApp()
    for app in (off, on):
        app.workers()
    job = record(off, replace(PINNED, engines=("rq",), delay=NOW), None)
    offer = record(off, replace(PINNED, id="offer", engines=("rq",)), "rq")

    look_for_long(off)

    assert [off.ledger.get(each.id) for each in (job, offer)] == [job, offer]


def test_such_a_job_cannot_be_dispatched_here_and_nothing_is_stored() -> None:
    app = MemoryApp()

    with pytest.raises(OptionInvalidError, match="kafka; check FAILSOFT_ENGINES"):
        app.dispatch(engines=("kafka",))
    with pytest.raises(OptionInvalidError, match="kafka; check FAILSOFT_ENGINES"):
        app.dispatch(engines=("rq", "kafka"))

    assert not app.ledger.list_jobs()


def test_no_engine_is_allowed_to_a_job_of_others() -> None:
    app = MemoryApp()
    router = app.router

    assert router.allowed(("kafka",)) == ()
    assert app.route("default", ("kafka",)).order == ()
    assert router.is_others(("kafka",))
    assert not router.is_others(("kafka", "rq"))
    assert not router.is_others(())


def test_work_that_is_done_again_waits_for_a_program_with_the_engine() -> None:
    app = MemoryApp()
    app.workers()
    job = record(app)
    run(app, job)
    (lost,) = app.ledger.running()
    error = ErrorRecord("ValueError", "no such user", "")
    assert app.ledger.exhaust(app.ledger.get(lost.job_id), error) is not None
    again, _ = app.ledger.retry(ManualRetry(job.id, "a person"))

    look_for_long(app)

    assert app.ledger.get(again.id) == again
