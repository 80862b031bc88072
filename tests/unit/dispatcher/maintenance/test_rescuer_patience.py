"""How long the rescuer is patient with offers that wait behind others."""

from failsoft.dispatcher.maintenance.late_offers import SHORT_PATIENCE
from failsoft.dispatcher.maintenance.missed_pickup import LOOKS_PER_OFFER
from failsoft.job_engine import JobState
from tests.unit.support.memory_app import MemoryApp
from tests.unit.support.missed_offers import A_LITTLE, PICKUP, miss_the_pickup


def test_an_offer_that_waits_in_a_long_queue_is_left_alone() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()

    miss_the_pickup(app)

    job = handle.job()
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "rq", 1)
    assert job.pickups_missed == 1
    assert job.pickup_by is not None
    assert job.pickup_by > app.clock.now()


def test_an_offer_that_waits_very_long_is_left_alone_all_the_same() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()

    miss_the_pickup(app, 2 * LOOKS_PER_OFFER)

    assert handle.job().epoch == 1


def test_an_engine_that_cannot_look_up_a_message_gets_it_again_now_and_then() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()
    app.rq.holds = lambda *args: None  # type: ignore[method-assign]

    miss_the_pickup(app, LOOKS_PER_OFFER)

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs) == ("rq", 2, 0)


def test_a_long_queue_is_looked_at_less_and_less_often() -> None:
    app, spans = MemoryApp(), []
    app.workers()
    handle = app.dispatch()
    for _ in range(3):
        miss_the_pickup(app)
        pickup_by = handle.job().pickup_by
        assert pickup_by is not None
        spans.append(pickup_by - app.clock.now())

    assert spans == [PICKUP, 2 * PICKUP, 4 * PICKUP]


def test_patience_with_a_long_queue_ends_when_no_worker_serves_it_any_more() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()
    miss_the_pickup(app, 6)
    before = handle.job()

    for worker in app.ledger.live_workers():
        if worker.engine == "rq":
            app.ledger.retire(worker.boot_id)
    app.clock.advance(2 * A_LITTLE)
    app.rescuer.tick()

    assert (before.engine, before.epoch) == ("rq", 1)
    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 2)


def test_patience_with_a_long_queue_ends_when_the_engine_has_lost_all_of_it() -> None:
    app = MemoryApp()
    app.workers()
    old = app.dispatch()
    miss_the_pickup(app, 6)
    app.rq.drop_messages()
    new = app.dispatch(engines=["rq"])
    app.rq.drop_messages()

    app.clock.advance(PICKUP)
    app.rescuer.tick()
    app.rescuer.tick()

    assert (old.job().epoch, new.job().epoch) == (2, 2)


def test_what_was_to_wait_in_a_queue_that_is_empty_is_looked_at_soon() -> None:
    app = MemoryApp()
    app.workers()
    old = app.dispatch()
    miss_the_pickup(app, 6)
    app.rq.drop_messages()

    app.clock.advance(SHORT_PATIENCE)
    app.workers()
    app.rescuer.tick()
    app.rescuer.tick()

    assert old.job().epoch == 2


def test_the_patience_with_an_offer_does_not_grow_while_no_engine_takes_any() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()
    for engine in (app.rq, app.dramatiq):
        engine.down()
        app.engines.failed(engine.name, "away")

    for _ in range(10):
        app.clock.advance(PICKUP)
        app.workers()
        app.rescuer.tick()

    job = handle.job()
    assert (job.state, job.epoch, job.pickups_missed) == (JobState.OFFERED, 1, 0)
