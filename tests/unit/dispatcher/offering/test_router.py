"""Which engine gets an offer, and why the others do not."""

from datetime import timedelta

from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.engine_api import DEFAULT
from failsoft.job_engine import JobState
from failsoft.job_engine.records.engine_switch import DisabledEngine
from tests.unit.support.memory_app import MemoryApp

SECOND = timedelta(seconds=1)


def explained(app: MemoryApp, **options: object) -> list[tuple[str, str, str]]:
    route = app.route("default", **options)  # type: ignore[arg-type]
    return [(each.engine, each.stage, each.reason) for each in route.skipped]


def test_the_primary_comes_first() -> None:
    assert MemoryApp().route("default").order == ("rq", "dramatiq")


def test_nothing_is_explained_where_nothing_was_passed_over() -> None:
    assert explained(MemoryApp()) == []


def test_an_engine_that_is_switched_off_is_left_out() -> None:
    app = MemoryApp(disabled=["rq"])

    assert app.route("default").order == ("dramatiq",)
    assert explained(app) == [("rq", "flag", "switched off")]


def test_an_engine_whose_breaker_is_open_is_left_out_with_the_reason() -> None:
    app = MemoryApp()
    app.engines.failed("rq", "timed out")

    assert app.route("default").order == ("dramatiq",)
    assert explained(app) == [("rq", "breaker", "timed out")]


def test_what_was_decided_before_a_breaker_opened_is_decided_anew() -> None:
    app = MemoryApp()
    before = [app.route("default").order for _ in range(2)]
    app.engines.refused("rq", "full", DEFAULT)

    assert before == [("rq", "dramatiq")] * 2
    assert app.route("default").order == ("dramatiq",)
    assert app.route("data-sync").order == ("rq", "dramatiq")


def test_with_every_breaker_open_there_is_no_way() -> None:
    app = MemoryApp()
    app.engines.failed("rq", "timed out")
    app.engines.failed("dramatiq", "refused")

    assert app.route("default").order == ()
    assert len(explained(app)) == 2


def test_an_engine_without_live_workers_for_the_queue_comes_last() -> None:
    app = MemoryApp()
    app.worker("rq", "data-sync")
    app.worker("dramatiq")

    assert app.route("default").order == ("dramatiq", "rq")
    assert explained(app) == [("rq", "workers", "no live worker")]
    assert app.route("data-sync").order == ("rq", "dramatiq")


def test_where_no_engine_has_workers_the_preference_decides() -> None:
    assert explained(MemoryApp()) == []
    assert MemoryApp().route("default").order == ("rq", "dramatiq")


def test_workers_that_fell_silent_do_not_count() -> None:
    app = MemoryApp()
    app.worker("rq", ttl=SECOND)
    app.worker("dramatiq")
    assert app.route("default").order == ("rq", "dramatiq")

    app.clock.advance(3 * SECOND)

    assert app.route("default").order == ("dramatiq", "rq")


def test_live_workers_are_looked_up_once_a_second() -> None:
    app = MemoryApp()
    app.workers()
    app.route("default")
    app.ledger.down()

    assert app.route("default").order == ("rq", "dramatiq")


def test_a_job_may_say_its_own_order() -> None:
    order = MemoryApp().route("default", ["dramatiq", "rq"]).order

    assert order == ("dramatiq", "rq")


def test_a_job_goes_to_none_but_the_engines_it_names() -> None:
    app = MemoryApp()
    app.engines.failed("rq", "timed out")

    assert app.route("default", ["rq"]).order == ()


def test_an_engine_that_lost_the_job_is_tried_last() -> None:
    app = MemoryApp()
    app.workers()

    assert app.route("default", avoid="rq").order == ("dramatiq", "rq")


def test_an_engine_that_lost_the_job_keeps_it_where_no_other_is_served() -> None:
    app = MemoryApp()
    app.worker("rq")

    assert app.route("default", avoid="rq").order == ("rq", "dramatiq")


def test_an_engine_that_ramps_up_gets_its_share() -> None:
    app = MemoryApp(policy=BreakerPolicy(ramp=10 * SECOND, healthy_probes=1))
    app.engines.failed("rq", "timed out")
    app.clock.advance(2 * SECOND)
    app.engines.breaker("rq").note_probe(healthy=True, detail="wrote")

    first = [app.route("default").order[0] for _ in range(1000)]

    assert 50 < first.count("rq") < 200


def test_the_epoch_of_the_offer_stands_in_the_explanation() -> None:
    app = MemoryApp(disabled=["rq"])

    (skipped,) = app.route("default", epoch=7).skipped

    assert skipped.epoch == 7


def test_an_engine_serves_a_queue_if_it_is_allowed_trusted_and_alive() -> None:
    app = MemoryApp()
    app.worker("rq")

    assert app.router.serves("rq", "default")
    assert not app.router.serves("rq", "data-sync")
    assert not app.router.serves("dramatiq", "default")
    app.engines.failed("rq", "timed out")
    assert not app.router.serves("rq", "default")


def test_an_engine_that_is_switched_off_serves_nothing() -> None:
    app = MemoryApp(disabled=["rq"])
    app.worker("rq")

    assert not app.router.serves("rq", "default")


def test_an_engine_that_the_ledger_disables_is_left_out_within_a_second_or_two() -> None:
    app = MemoryApp()
    app.workers()
    assert app.route("default").order == ("rq", "dramatiq")
    app.ledger.disable_engine(DisabledEngine("rq", "ada", "moved"))
    app.clock.advance(2 * SECOND)

    assert app.route("default").order == ("dramatiq",)
    assert explained(app) == [("rq", "flag", "engine rq disabled by ada: moved")]
    assert not app.router.serves("rq", "default")
    assert not app.router.is_alive("rq", "default")
    assert app.router.reach().engines == {"dramatiq"}
    assert app.router.deserted("default") == ("rq",)
    app.ledger.enable_engine("rq")
    app.clock.advance(2 * SECOND)
    assert app.route("default").order == ("rq", "dramatiq")


def test_a_job_that_may_run_on_a_disabled_engine_alone_waits_for_it() -> None:
    app = MemoryApp()
    app.ledger.disable_engine(DisabledEngine("rq", "ada"))

    handle = app.dispatch(engines=("rq",))
    app.clock.advance(10 * SECOND)
    app.stager.tick()

    assert handle.status() is JobState.SCHEDULED
    assert app.offered(app.rq) == []
    app.ledger.enable_engine("rq")
    app.clock.advance(2 * SECOND)
    app.stager.tick()
    assert len(app.offered(app.rq)) == 1


def test_where_every_engine_is_disabled_nothing_is_due() -> None:
    app = MemoryApp()
    for name in app.engines:
        app.ledger.disable_engine(DisabledEngine(name, "ada"))

    handle = app.dispatch()
    app.clock.advance(10 * SECOND)

    assert not app.router.has_usable
    assert app.stager.tick() == 0
    assert handle.status() is JobState.SCHEDULED


def test_what_a_disabled_engine_has_not_delivered_moves_to_another() -> None:
    app = MemoryApp()
    app.workers()
    handle = app.dispatch(pickup=5 * SECOND)
    app.ledger.disable_engine(DisabledEngine("rq", "ada"))
    app.clock.advance(10 * SECOND)

    app.rescuer.tick()

    assert handle.job().engine == "dramatiq"


def test_an_engine_of_another_program_serves_nothing_here() -> None:
    assert not MemoryApp().router.serves("kafka", "default")
