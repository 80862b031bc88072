"""The rescuer and offers without a claim: what is lost, and what merely waits."""

from datetime import timedelta

from failsoft.dispatcher.maintenance.evacuation import MAX_HANDOFFS
from failsoft.dispatcher.maintenance.late_offers import HANDOFFS_OF_CHOICE, SHORT_PATIENCE
from failsoft.dispatcher.maintenance.token_bucket import TokenBucket
from failsoft.job_engine import JobState, QueueProfile, declare_queue
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import MemoryApp
from tests.unit.support.missed_offers import A_LITTLE, PICKUP, lose_the_offer, miss_the_pickup

LEASE = timedelta(seconds=60)
OVERFLOWING = declare_queue(QueueProfile("overflowing", overflow=True))


def test_one_job_that_cannot_be_helped_does_not_keep_the_others_from_help() -> None:
    app = MemoryApp()
    foreign = NewJob("a-foreign-job", "welcome", "data-sync", "{}", "sha")
    app.ledger.record_job(foreign, OfferPlan("kafka", PICKUP))
    app.clock.advance(A_LITTLE)
    handle = app.dispatch()
    app.rq.drop_messages()

    miss_the_pickup(app)

    assert handle.job().epoch == 2


def test_an_offer_that_the_engine_lost_is_made_again() -> None:
    app = MemoryApp()
    handle = app.dispatch()

    lose_the_offer(app)

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs, job.claims) == ("rq", 2, 0, 0)
    assert [m.epoch for m in app.offered(app.rq)] == [2]


def test_an_offer_that_the_engine_lost_twice_is_made_to_the_other() -> None:
    app = MemoryApp()
    handle = app.dispatch()

    lose_the_offer(app, times=2)

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs, job.claims) == ("dramatiq", 3, 1, 0)
    assert [m.epoch for m in app.offered(app.dramatiq)] == [3]


def test_an_offer_that_the_only_engine_loses_is_made_to_it_again() -> None:
    app = MemoryApp()
    handle = app.dispatch(engines=["rq"])

    lose_the_offer(app, times=3)

    assert (handle.job().engine, handle.job().epoch, handle.job().handoffs) == ("rq", 4, 0)


def test_an_offer_that_was_lost_behind_others_is_made_again() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()
    app.rq.drop_messages()
    waiting = app.dispatch()

    miss_the_pickup(app)

    assert (handle.job().epoch, waiting.job().epoch) == (2, 1)


def test_a_new_offer_of_what_is_lost_again_and_again_is_looked_into_within_a_minute() -> None:
    app, spans = MemoryApp(), []
    handle = app.dispatch()
    for _ in range(5):
        lose_the_offer(app)
        pickup_by = handle.job().pickup_by
        assert pickup_by is not None
        spans.append(pickup_by - app.clock.now())

    assert spans == [PICKUP, 2 * PICKUP, 4 * PICKUP, SHORT_PATIENCE, SHORT_PATIENCE]


def test_what_is_lost_again_and_again_leaves_hand_offs_for_the_death_of_an_engine() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    lose_the_offer(app, times=2 * MAX_HANDOFFS)
    lost = handle.job()

    app.clock.advance(timedelta(days=1))
    app.worker("rq" if lost.engine == "dramatiq" else "dramatiq")
    app.rescuer.tick()

    assert lost.handoffs == HANDOFFS_OF_CHOICE
    assert lost.epoch > MAX_HANDOFFS
    assert handle.job().engine != lost.engine


def test_what_an_engine_lost_all_at_once_moves_no_faster_than_a_dead_engines_jobs() -> None:
    app = MemoryApp()
    handles = [app.dispatch() for _ in range(90)]
    app.rescuer._late_offers._moves = TokenBucket(rate=0, burst=30, clock=app.clock)

    lose_the_offer(app, times=2)

    engines = [handle.job().engine for handle in handles]
    assert (engines.count("dramatiq"), engines.count("rq")) == (30, 60)
    assert {handle.job().epoch for handle in handles} == {3}


def test_an_offer_to_an_engine_without_live_workers_goes_to_the_other() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()
    app.clock.advance(timedelta(days=1))
    app.worker("dramatiq")

    app.rescuer.tick()

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs) == ("dramatiq", 2, 1)


def test_an_offer_to_an_engine_that_fails_its_probe_goes_to_the_other() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch()
    app.rq.down()

    miss_the_pickup(app)

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 2)
    assert app.engines.breaker("rq").is_open


def test_a_queue_that_may_overflow_moves_what_waits() -> None:
    app = MemoryApp()
    for engine in ("rq", "dramatiq"):
        app.worker(engine, "overflowing")
    definition = define(lambda ctx: None, queue="overflowing")
    handle = app.dispatcher.dispatch(definition, Mail())

    app.clock.advance(PICKUP)
    for engine in ("rq", "dramatiq"):
        app.worker(engine, "overflowing")
    app.rescuer.tick()

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs) == ("dramatiq", 2, 1)


def test_a_queue_that_may_overflow_moves_nothing_to_where_as_many_wait() -> None:
    app = MemoryApp()
    definition = define(lambda ctx: None, queue="overflowing")
    here = app.dispatcher.dispatch(definition, Mail())
    there = app.dispatcher.dispatch(definition, Mail(), engines=["dramatiq", "rq"])

    app.clock.advance(PICKUP)
    for engine in ("rq", "dramatiq"):
        app.worker(engine, "overflowing")
    app.rescuer.tick()

    assert [(each.job().engine, each.job().epoch) for each in (here, there)] == [
        ("rq", 1),
        ("dramatiq", 1),
    ]


def test_a_probe_is_made_once_for_many_offers() -> None:
    app, probes = MemoryApp(), []
    app.workers()
    for _ in range(5):
        app.dispatch()
    probe = app.rq.probe
    app.rq.probe = lambda *args: probes.append(1) or probe(*args)  # type: ignore[method-assign]

    miss_the_pickup(app)

    assert len(probes) == 1


def test_a_job_that_changed_engine_too_often_stays_where_it_is() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    for turn in range(MAX_HANDOFFS):
        to = "dramatiq" if turn % 2 == 0 else "rq"
        assert app.ledger.offer(handle.job(), OfferPlan(to, PICKUP)) is not None
    app.rq.down()
    app.engines.failed("rq", "timed out")

    miss_the_pickup(app)

    assert (handle.job().engine, handle.job().handoffs) == ("rq", MAX_HANDOFFS)


def test_so_many_jobs_and_no_more_are_moved_at_once() -> None:
    app = MemoryApp()
    handles = [app.dispatch() for _ in range(90)]
    app.rescuer._late_offers._moves = TokenBucket(rate=0, burst=30, clock=app.clock)
    app.engines.failed("rq", "timed out")

    miss_the_pickup(app)

    moved = [handle for handle in handles if handle.job().engine == "dramatiq"]
    assert len(moved) == 30


def test_a_claimed_job_is_not_offered_again() -> None:
    app = MemoryApp()
    handle, claim = app.running(lease=LEASE)

    miss_the_pickup(app)
    app.ledger.renew([claim])

    assert (handle.status(), handle.job().epoch) == (JobState.RUNNING, 1)
