"""Which engine gets an offer, and why the others do not."""

from datetime import timedelta

from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.states import JobState
from tests.unit.support.memory_app import House

SECOND = timedelta(seconds=1)


def explained(house: House, **options: object) -> list[tuple[str, str, str]]:
    route = house.router.route("default", **options)  # type: ignore[arg-type]
    return [(each.engine, each.stage, each.reason) for each in route.skipped]


def test_the_primary_comes_first() -> None:
    assert House().router.route("default").order == ("rq", "dramatiq")


def test_nothing_is_explained_where_nothing_was_passed_over() -> None:
    assert explained(House()) == []


def test_an_engine_that_is_switched_off_is_left_out() -> None:
    house = House(disabled=["rq"])

    assert house.router.route("default").order == ("dramatiq",)
    assert explained(house) == [("rq", "flag", "switched off")]


def test_an_engine_whose_breaker_is_open_is_left_out_with_the_reason() -> None:
    house = House()
    house.engines.failed("rq", "timed out")

    assert house.router.route("default").order == ("dramatiq",)
    assert explained(house) == [("rq", "breaker", "timed out")]


def test_with_every_breaker_open_there_is_no_way() -> None:
    house = House()
    house.engines.failed("rq", "timed out")
    house.engines.failed("dramatiq", "refused")

    assert house.router.route("default").order == ()
    assert len(explained(house)) == 2


def test_an_engine_without_live_workers_for_the_queue_comes_last() -> None:
    house = House()
    house.worker("rq", "data-sync")
    house.worker("dramatiq")

    assert house.router.route("default").order == ("dramatiq", "rq")
    assert explained(house) == [("rq", "workers", "no live worker")]
    assert house.router.route("data-sync").order == ("rq", "dramatiq")


def test_where_no_engine_has_workers_the_preference_decides() -> None:
    assert explained(House()) == []
    assert House().router.route("default").order == ("rq", "dramatiq")


def test_workers_that_fell_silent_do_not_count() -> None:
    house = House()
    house.worker("rq", ttl=SECOND)
    house.worker("dramatiq")
    assert house.router.route("default").order == ("rq", "dramatiq")

    house.clock.advance(3 * SECOND)

    assert house.router.route("default").order == ("dramatiq", "rq")


def test_live_workers_are_looked_up_once_a_second() -> None:
    house = House()
    house.workers()
    house.router.route("default")
    house.ledger.down()

    assert house.router.route("default").order == ("rq", "dramatiq")


def test_a_job_may_say_its_own_order() -> None:
    order = House().router.route("default", ["dramatiq", "rq"]).order

    assert order == ("dramatiq", "rq")


def test_a_job_goes_to_none_but_the_engines_it_names() -> None:
    house = House()
    house.engines.failed("rq", "timed out")

    assert house.router.route("default", ["rq"]).order == ()


def test_an_engine_that_lost_the_job_is_tried_last() -> None:
    house = House()
    house.workers()

    assert house.router.route("default", avoid="rq").order == ("dramatiq", "rq")


def test_an_engine_that_lost_the_job_keeps_it_where_no_other_is_served() -> None:
    house = House()
    house.worker("rq")

    assert house.router.route("default", avoid="rq").order == ("rq", "dramatiq")


def test_an_engine_that_ramps_up_gets_its_share() -> None:
    house = House(policy=BreakerPolicy(ramp=10 * SECOND, healthy_probes=1))
    house.engines.failed("rq", "timed out")
    house.clock.advance(2 * SECOND)
    house.engines.breaker("rq").note_probe(healthy=True, detail="wrote")

    first = [house.router.route("default").order[0] for _ in range(1000)]

    assert 50 < first.count("rq") < 200


def test_the_epoch_of_the_offer_stands_in_the_explanation() -> None:
    house = House(disabled=["rq"])

    (skipped,) = house.router.route("default", epoch=7).skipped

    assert skipped.epoch == 7


def test_an_engine_serves_a_queue_if_it_is_allowed_trusted_and_alive() -> None:
    house = House()
    house.worker("rq")

    assert house.router.serves("rq", "default")
    assert not house.router.serves("rq", "data-sync")
    assert not house.router.serves("dramatiq", "default")
    house.engines.failed("rq", "timed out")
    assert not house.router.serves("rq", "default")


def test_an_engine_that_is_switched_off_serves_nothing() -> None:
    house = House(disabled=["rq"])
    house.worker("rq")

    assert not house.router.serves("rq", "default")


def test_an_engine_that_the_ledger_disables_is_left_out_within_a_second_or_two() -> None:
    house = House()
    house.workers()
    assert house.router.route("default").order == ("rq", "dramatiq")
    house.ledger.disable_engine(DisabledEngine("rq", "ada", "moved"))
    house.clock.advance(2 * SECOND)

    assert house.router.route("default").order == ("dramatiq",)
    assert explained(house) == [("rq", "flag", "engine rq disabled by ada: moved")]
    assert not house.router.serves("rq", "default")
    assert not house.router.is_alive("rq", "default")
    assert house.router.reach().engines == {"dramatiq"}
    assert house.router.deserted("default") == ("rq",)
    house.ledger.enable_engine("rq")
    house.clock.advance(2 * SECOND)
    assert house.router.route("default").order == ("rq", "dramatiq")


def test_a_job_that_may_run_on_a_disabled_engine_alone_waits_for_it() -> None:
    house = House()
    house.ledger.disable_engine(DisabledEngine("rq", "ada"))

    handle = house.dispatch(engines=("rq",))
    house.clock.advance(10 * SECOND)
    house.stager.tick()

    assert handle.status() is JobState.SCHEDULED
    assert house.offered(house.rq) == []
    house.ledger.enable_engine("rq")
    house.clock.advance(2 * SECOND)
    house.stager.tick()
    assert len(house.offered(house.rq)) == 1


def test_where_every_engine_is_disabled_nothing_is_due() -> None:
    house = House()
    for name in house.engines:
        house.ledger.disable_engine(DisabledEngine(name, "ada"))

    handle = house.dispatch()
    house.clock.advance(10 * SECOND)

    assert not house.router.has_usable
    assert house.stager.tick() == 0
    assert handle.status() is JobState.SCHEDULED


def test_what_a_disabled_engine_has_not_delivered_moves_to_another() -> None:
    house = House()
    house.workers()
    handle = house.dispatch(pickup=5 * SECOND)
    house.ledger.disable_engine(DisabledEngine("rq", "ada"))
    house.clock.advance(10 * SECOND)

    house.rescuer.tick()

    assert handle.job().engine == "dramatiq"


def test_an_engine_of_another_program_serves_nothing_here() -> None:
    assert not House().router.serves("kafka", "default")
