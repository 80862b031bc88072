"""The rescuer and offers that nobody claimed: what is lost, and what merely waits."""

from datetime import timedelta

from failsoft.dispatcher.maintenance.rescuer import (
    HANDOFFS_OF_CHOICE,
    MAX_HANDOFFS,
    SHORT_PATIENCE,
)
from failsoft.dispatcher.maintenance.token_bucket import TokenBucket
from failsoft.job_engine.policies.queue import QueueProfile, declare_queue
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import House
from tests.unit.support.missed_offers import A_LITTLE, PICKUP, lose_the_offer, miss_the_pickup

LEASE = timedelta(seconds=60)
OVERFLOWING = declare_queue(QueueProfile("overflowing", overflow=True))


def test_one_job_that_cannot_be_helped_does_not_keep_the_others_from_help() -> None:
    house = House()
    foreign = NewJob("a-foreign-job", "welcome", "data-sync", "{}", "sha")
    house.ledger.record_job(foreign, OfferPlan("kafka", PICKUP))
    house.clock.advance(A_LITTLE)
    handle = house.dispatch()
    house.rq.drop_messages()

    miss_the_pickup(house)

    assert handle.job().epoch == 2


def test_an_offer_that_the_engine_lost_is_made_again() -> None:
    house = House()
    handle = house.dispatch()

    lose_the_offer(house)

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs, job.claims) == ("rq", 2, 0, 0)
    assert [m.epoch for m in house.offered(house.rq)] == [2]


def test_an_offer_that_the_engine_lost_twice_is_made_to_the_other() -> None:
    house = House()
    handle = house.dispatch()

    lose_the_offer(house, times=2)

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs, job.claims) == ("dramatiq", 3, 1, 0)
    assert [m.epoch for m in house.offered(house.dramatiq)] == [3]


def test_an_offer_that_the_only_engine_loses_is_made_to_it_again() -> None:
    house = House()
    handle = house.dispatch(engines=["rq"])

    lose_the_offer(house, times=3)

    assert (handle.job().engine, handle.job().epoch, handle.job().handoffs) == ("rq", 4, 0)


def test_an_offer_that_was_lost_behind_others_is_made_again() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()
    house.rq.drop_messages()
    waiting = house.dispatch()

    miss_the_pickup(house)

    assert (handle.job().epoch, waiting.job().epoch) == (2, 1)


def test_a_new_offer_of_what_is_lost_again_and_again_is_looked_into_within_a_minute() -> None:
    house, spans = House(), []
    handle = house.dispatch()
    for _ in range(5):
        lose_the_offer(house)
        pickup_by = handle.job().pickup_by
        assert pickup_by is not None
        spans.append(pickup_by - house.clock.now())

    assert spans == [PICKUP, 2 * PICKUP, 4 * PICKUP, SHORT_PATIENCE, SHORT_PATIENCE]


def test_what_is_lost_again_and_again_leaves_hand_offs_for_the_death_of_an_engine() -> None:
    house = House()
    handle = house.dispatch()
    lose_the_offer(house, times=2 * MAX_HANDOFFS)
    lost = handle.job()

    house.clock.advance(timedelta(days=1))
    house.worker("rq" if lost.engine == "dramatiq" else "dramatiq")
    house.rescuer.tick()

    assert lost.handoffs == HANDOFFS_OF_CHOICE
    assert lost.epoch > MAX_HANDOFFS
    assert handle.job().engine != lost.engine


def test_what_an_engine_lost_all_at_once_moves_no_faster_than_a_dead_engines_jobs() -> None:
    house = House()
    handles = [house.dispatch() for _ in range(90)]
    house.rescuer._moves = TokenBucket(rate=0, burst=30, clock=house.clock)

    lose_the_offer(house, times=2)

    engines = [handle.job().engine for handle in handles]
    assert (engines.count("dramatiq"), engines.count("rq")) == (30, 60)
    assert {handle.job().epoch for handle in handles} == {3}


def test_an_offer_to_an_engine_without_live_workers_goes_to_the_other() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()
    house.clock.advance(timedelta(days=1))
    house.worker("dramatiq")

    house.rescuer.tick()

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs) == ("dramatiq", 2, 1)


def test_an_offer_to_an_engine_that_fails_its_probe_goes_to_the_other() -> None:
    house = House()
    house.workers()
    handle = house.dispatch()
    house.rq.down()

    miss_the_pickup(house)

    assert (handle.job().engine, handle.job().epoch) == ("dramatiq", 2)
    assert house.engines.breaker("rq").is_open


def test_a_queue_that_may_overflow_moves_what_waits() -> None:
    house = House()
    for engine in ("rq", "dramatiq"):
        house.worker(engine, "overflowing")
    definition = define(lambda ctx: None, queue="overflowing")
    handle = house.dispatcher.dispatch(definition, Mail())

    house.clock.advance(PICKUP)
    for engine in ("rq", "dramatiq"):
        house.worker(engine, "overflowing")
    house.rescuer.tick()

    job = handle.job()
    assert (job.engine, job.epoch, job.handoffs) == ("dramatiq", 2, 1)


def test_a_queue_that_may_overflow_moves_nothing_to_where_as_many_wait() -> None:
    house = House()
    definition = define(lambda ctx: None, queue="overflowing")
    here = house.dispatcher.dispatch(definition, Mail())
    there = house.dispatcher.dispatch(definition, Mail(), engines=["dramatiq", "rq"])

    house.clock.advance(PICKUP)
    for engine in ("rq", "dramatiq"):
        house.worker(engine, "overflowing")
    house.rescuer.tick()

    assert [(each.job().engine, each.job().epoch) for each in (here, there)] == [
        ("rq", 1),
        ("dramatiq", 1),
    ]


def test_a_probe_is_made_once_for_many_offers() -> None:
    house, probes = House(), []
    house.workers()
    for _ in range(5):
        house.dispatch()
    probe = house.rq.probe
    house.rq.probe = lambda *args: probes.append(1) or probe(*args)  # type: ignore[method-assign]

    miss_the_pickup(house)

    assert len(probes) == 1


def test_a_job_that_changed_engine_too_often_stays_where_it_is() -> None:
    house = House()
    handle = house.dispatch()
    for turn in range(MAX_HANDOFFS):
        to = "dramatiq" if turn % 2 == 0 else "rq"
        assert house.ledger.offer(handle.job(), OfferPlan(to, PICKUP)) is not None
    house.rq.down()
    house.engines.failed("rq", "timed out")

    miss_the_pickup(house)

    assert (handle.job().engine, handle.job().handoffs) == ("rq", MAX_HANDOFFS)


def test_so_many_jobs_and_no_more_are_moved_at_once() -> None:
    house = House()
    handles = [house.dispatch() for _ in range(90)]
    house.rescuer._moves = TokenBucket(rate=0, burst=30, clock=house.clock)
    house.engines.failed("rq", "timed out")

    miss_the_pickup(house)

    moved = [handle for handle in handles if handle.job().engine == "dramatiq"]
    assert len(moved) == 30


def test_a_claimed_job_is_not_offered_again() -> None:
    house = House()
    handle, claim = house.running(lease=LEASE)

    miss_the_pickup(house)
    house.ledger.renew([claim])

    assert (handle.status(), handle.job().epoch) == (JobState.RUNNING, 1)
