"""F40: jobs that may only run on engines that this program does not have are not its to judge.

Here it has `rq` and `dramatiq`; another one has `kafka`, too.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.rescuer import BATCH
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord, Ticket
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.unit.support.memory_app import House

pytestmark = pytest.mark.fault("F40")

LEASE = timedelta(seconds=60)
NOW = timedelta(0)
PINNED = NewJob("pinned", "send_mail", "default", "{}", "sha", engines=("kafka",))


def record(house: House, job: NewJob = PINNED, engine: str | None = "kafka") -> JobRecord:
    """Record a job as the program does that has the engine."""
    plan = None if engine is None else OfferPlan(engine, DEFAULT.pickup)
    return house.ledger.record_job(job, plan)[0]


def run(house: House, job: JobRecord) -> None:
    shown = Ticket(job.id, job.epoch, str(job.engine), job.queue, "c" * 8, "worker", LEASE)
    assert house.ledger.claim(shown) is not None


def look_for_long(house: House) -> None:
    """Let everything run out that can, and look at each turn."""
    for _ in range(20):
        house.rescuer.tick()
        house.stager.tick()
        house.clock.advance(LEASE)


@pytest.mark.parametrize("has_workers", [True, False])
def test_an_offer_of_anothers_engine_is_left_as_it_is(*, has_workers: bool) -> None:
    house = House()
    house.workers()
    if has_workers:
        house.worker("kafka", ttl=timedelta(days=1))
    job = record(house)

    look_for_long(house)

    assert house.ledger.get(job.id) == job


def test_a_due_job_of_anothers_engine_is_left_as_it_is() -> None:
    house = House()
    house.workers()
    job = record(house, replace(PINNED, delay=NOW), None)

    look_for_long(house)

    assert house.ledger.get(job.id) == job


@pytest.mark.parametrize("crashes", [0, MAX_CRASHES - 1])
def test_a_running_job_of_anothers_engine_is_charged_nothing(crashes: int) -> None:
    house = House()
    house.workers()
    job = record(house)
    for _ in range(crashes):
        run(house, job)
        moved = house.ledger.offer(house.ledger.get(job.id), OfferPlan("kafka", LEASE))
        assert moved is not None
        job = moved
    run(house, job)
    before = house.ledger.get(job.id)

    look_for_long(house)

    assert house.ledger.get(job.id) == before
    assert before.crashes == crashes


@pytest.mark.parametrize("offered", [True, False])
def test_batches_of_them_keep_nobody_waiting(*, offered: bool) -> None:
    house = House()
    house.workers()
    for n in range(2 * BATCH):
        foreign = replace(PINNED, id=f"pinned-{n}", delay=NOW, priority=100)
        record(house, foreign, "kafka" if offered else None)
    ours = replace(PINNED, id="ours", delay=NOW, engines=("kafka", "rq"))
    record(house, ours, "dramatiq" if offered else None)
    house.clock.advance(DEFAULT.pickup * 2)

    house.rescuer.tick()
    house.stager.tick()

    job = house.ledger.get("ours")
    assert (job.state, job.engine) == (JobState.OFFERED, "rq")


def test_one_that_may_also_run_here_moves_when_the_other_engine_has_no_workers() -> None:
    house = House()
    house.workers()
    job = record(house, replace(PINNED, engines=("kafka", "rq")))

    house.clock.advance(DEFAULT.pickup * 2)
    house.rescuer.tick()

    moved = house.ledger.get(job.id)
    assert (moved.engine, moved.epoch) == ("rq", 2)


@pytest.mark.parametrize("engines", [(), ("kafka", "rq")])
def test_and_is_left_to_the_programs_of_an_engine_that_has_workers(
    engines: tuple[str, ...],
) -> None:
    house = House()
    house.workers()
    house.worker("kafka")
    job = record(house, replace(PINNED, engines=engines))

    house.clock.advance(DEFAULT.pickup * 2)
    house.rescuer.tick()

    assert house.ledger.get(job.id) == job


def test_a_pin_to_an_engine_that_is_switched_off_here_is_left_to_others_too() -> None:
    off, on = House(disabled=["rq"]), House()
    for house in (off, on):
        house.workers()
    job = record(off, replace(PINNED, engines=("rq",), delay=NOW), None)
    offer = record(off, replace(PINNED, id="offer", engines=("rq",)), "rq")

    look_for_long(off)

    assert [off.ledger.get(each.id) for each in (job, offer)] == [job, offer]


def test_such_a_job_cannot_be_dispatched_here_and_nothing_is_stored() -> None:
    house = House()

    with pytest.raises(OptionInvalidError, match="kafka; check FAILSOFT_ENGINES"):
        house.dispatch(engines=("kafka",))
    with pytest.raises(OptionInvalidError, match="kafka; check FAILSOFT_ENGINES"):
        house.dispatch(engines=("rq", "kafka"))

    assert not house.ledger.list_jobs()


def test_no_engine_is_allowed_to_a_job_of_others() -> None:
    router = House().router

    assert router.allowed(("kafka",)) == ()
    assert router.route("default", ("kafka",)).order == ()
    assert router.is_others(("kafka",))
    assert not router.is_others(("kafka", "rq"))
    assert not router.is_others(())


def test_work_that_is_done_again_waits_for_a_program_with_the_engine() -> None:
    house = House()
    house.workers()
    job = record(house)
    run(house, job)
    (lost,) = house.ledger.running()
    error = ErrorRecord("ValueError", "no such user", "")
    assert house.ledger.exhaust(house.ledger.get(lost.job_id), error) is not None
    again, _ = house.ledger.retry(ManualRetry(job.id, "a person"))

    look_for_long(house)

    assert house.ledger.get(again.id) == again
