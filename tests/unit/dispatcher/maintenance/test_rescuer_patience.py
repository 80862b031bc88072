"""How long the rescuer is patient with offers that wait behind others."""

from failsoft.dispatcher.maintenance.missed_pickup import LOOKS_PER_OFFER
from failsoft.dispatcher.maintenance.rescuer import SHORT_PATIENCE
from failsoft.job_engine.records.states import JobState
from tests.unit.support.memory_app import House
from tests.unit.support.missed_offers import A_LITTLE, PICKUP, miss_the_pickup


def test_an_offer_that_waits_in_a_long_queue_is_left_alone() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()

    miss_the_pickup(house)

    job = handle.job()
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "rq", 1)
    assert job.pickups_missed == 1
    assert job.pickup_by is not None
    assert job.pickup_by > house.clock.now()


def test_an_offer_that_waits_very_long_is_left_alone_all_the_same() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()

    miss_the_pickup(house, 2 * LOOKS_PER_OFFER)

    assert handle.job().epoch == 1


def test_an_engine_that_cannot_tell_what_it_has_gets_it_again_now_and_then() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()
    house.rq.holds = lambda *args: None  # type: ignore[method-assign]

    miss_the_pickup(house, LOOKS_PER_OFFER)

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs) == ("rq", 2, 0)


def test_a_long_queue_is_looked_at_less_and_less_often() -> None:
    house, spans = House(), []
    house.workers()
    handle = house.dispatch()
    for _ in range(3):
        miss_the_pickup(house)
        pickup_by = handle.job().pickup_by
        assert pickup_by is not None
        spans.append(pickup_by - house.clock.now())

    assert spans == [PICKUP, 2 * PICKUP, 4 * PICKUP]


def test_patience_with_a_long_queue_ends_when_nobody_serves_it_any_more() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()
    miss_the_pickup(house, 6)
    before = handle.job()

    for worker in house.ledger.live_workers():
        if worker.engine == "rq":
            house.ledger.retire(worker.boot_id)
    house.clock.advance(2 * A_LITTLE)
    house.rescuer.tick()

    assert (before.engine, before.epoch) == ("rq", 1)
    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 2)


def test_patience_with_a_long_queue_ends_when_the_engine_has_lost_all_of_it() -> None:
    house = House()
    house.workers()
    old = house.dispatch()
    miss_the_pickup(house, 6)
    house.rq.drop_messages()
    new = house.dispatch(engines=["rq"])
    house.rq.drop_messages()

    house.clock.advance(PICKUP)
    house.rescuer.tick()
    house.rescuer.tick()

    assert (old.job().epoch, new.job().epoch) == (2, 2)


def test_what_was_to_wait_in_a_queue_that_is_empty_is_looked_at_soon() -> None:
    house = House()
    house.workers()
    old = house.dispatch()
    miss_the_pickup(house, 6)
    house.rq.drop_messages()

    house.clock.advance(SHORT_PATIENCE)
    house.workers()
    house.rescuer.tick()
    house.rescuer.tick()

    assert old.job().epoch == 2


def test_the_patience_with_an_offer_does_not_grow_while_no_engine_takes_any() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()
    for engine in ("rq", "dramatiq"):
        house.engines.failed(engine, "away")

    for _ in range(10):
        house.clock.advance(PICKUP)
        house.workers()
        house.rescuer.tick()

    job = handle.job()
    assert (job.state, job.epoch, job.pickups_missed) == (JobState.OFFERED, 1, 0)
