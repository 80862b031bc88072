"""Rules of the ledger share jobs among engines, live, and lead to no dead end (rules 23, 24)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failsoft.dispatcher.dispatching.bulk import DispatchRequest
from failsoft.job_engine import JobState
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.routing.guard import Guard, Trip
from failsoft.job_engine.records.routing.rule import RouteRule, choice
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import HOUR, WELCOME, MemoryApp

TWO_SECONDS = timedelta(seconds=2)
MOSTLY_RQ: Mapping[str, int] = {"rq": 80, "dramatiq": 20}
ONLY_DRAMATIQ: Mapping[str, int] = {"rq": 0, "dramatiq": 1}


def app_with(
    weights: Mapping[str, int] = ONLY_DRAMATIQ, kind: Any = "default", name: str = ""
) -> MemoryApp:
    app = MemoryApp()
    app.workers()
    app.ledger.set_route(RouteRule(kind, name, weights, "ada"))
    return app


def first(app: MemoryApp, **options: Any) -> str:
    return str(app.dispatch(**options).job().engine)


def test_ten_thousand_dispatches_are_shared_by_the_weights() -> None:
    app = app_with(MOSTLY_RQ)
    # The ids are random: with these seeded ones the test says the same each time.
    requests = [DispatchRequest(Mail(), {"job_id": f"job-{number:05}"}) for number in range(10_000)]

    outcomes = app.dispatcher.dispatch_many(WELCOME, requests)

    engines = {each.handle.id: each.handle.job().engine for each in outcomes if each.handle}
    assert 7_900 <= Counter(engines.values())["rq"] <= 8_100
    assert all(engine == choice(job_id, MOSTLY_RQ) for job_id, engine in engines.items())
    assert len(app.offered(app.rq)) == Counter(engines.values())["rq"]


def test_a_raised_share_takes_no_job_back() -> None:
    app = app_with(MOSTLY_RQ)
    ids = [f"job-{number:03}" for number in range(200)]
    before = {job_id: first(app, job_id=job_id) for job_id in ids}
    app.ledger.set_route(RouteRule("default", "", {"rq": 50, "dramatiq": 50}, "ada"))
    app.clock.advance(TWO_SECONDS)

    after = {job_id: app.router.route(app.ledger.get(job_id)).order[0] for job_id in ids}

    moved_away = [job for job in ids if before[job] == "dramatiq" and after[job] == "rq"]
    assert moved_away == []
    assert Counter(after.values())["dramatiq"] > Counter(before.values())["dramatiq"]


def test_a_rule_is_read_live_once_a_second() -> None:
    app = app_with({"rq": 1})
    assert first(app) == "rq"

    app.ledger.set_route(RouteRule("default", "", ONLY_DRAMATIQ, "ada"), TWO_SECONDS)
    app.clock.advance(timedelta(seconds=1.5))
    assert first(app) == "dramatiq"
    app.clock.advance(TWO_SECONDS)

    assert first(app) == "rq"


@pytest.mark.parametrize(
    ("kind", "name", "options", "expected"),
    [
        ("job", "welcome", {}, "dramatiq"),
        ("job", "other", {}, "rq"),
        ("tag", "eu", {"tags": ["eu"]}, "dramatiq"),
        ("tag", "eu", {"tags": ["us"]}, "rq"),
        ("queue", "default", {}, "dramatiq"),
        ("queue", "data-sync", {}, "rq"),
        ("default", "", {}, "dramatiq"),
        # What the dispatch names is stronger than every rule.
        ("job", "welcome", {"engines": ["rq"]}, "rq"),
        ("job", "welcome", {"engines": ["rq", "dramatiq"]}, "rq"),
    ],
)
def test_a_dispatch_goes_where_the_rule_that_covers_it_leads(
    kind: str, name: str, options: dict[str, Any], expected: str
) -> None:
    assert first(app_with(kind=kind, name=name), **options) == expected


def test_weights_lead_to_no_engine_that_cannot_take_the_job() -> None:
    app = app_with()
    app.ledger.disable_engine(DisabledEngine("dramatiq", "ada"))
    app.clock.advance(TWO_SECONDS)
    assert app.route().order == ("rq",)
    assert first(app) == "rq"

    app.ledger.enable_engine("dramatiq")
    app.clock.advance(TWO_SECONDS)
    app.engines.failed("dramatiq", "refused")
    assert first(app) == "rq"


def test_weights_lead_to_no_engine_that_is_not_there_or_not_served() -> None:
    elsewhere = app_with({"kafka": 100})
    assert first(elsewhere) == "rq"

    app = MemoryApp()
    app.worker("rq")
    app.ledger.set_route(RouteRule("default", "", ONLY_DRAMATIQ, "ada"))
    assert app.route().order == ("rq", "dramatiq")
    assert first(app) == "rq"


def test_what_the_chosen_engine_does_not_take_goes_to_the_others() -> None:
    app = app_with()
    app.dramatiq.down()

    handle = app.dispatch()

    assert (handle.job().engine, handle.job().epoch) == ("rq", 2)


def test_a_job_keeps_its_engine_over_its_offers() -> None:
    app = app_with(MOSTLY_RQ)
    for number in range(20):
        job = app.dispatch(job_id=f"job-{number}").job()
        parked = app.ledger.park(job, timedelta(0), "for the test")
        assert parked is not None
    app.stager.tick()

    for number in range(20):
        job = app.ledger.get(f"job-{number}")
        assert (job.epoch, job.engine) == (2, choice(job.id, MOSTLY_RQ))


def test_an_engine_that_lost_a_job_is_avoided_whatever_the_rule_says() -> None:
    app = app_with()

    assert app.route(avoid="dramatiq").order == ("rq", "dramatiq")


def test_a_rule_that_changes_between_the_record_and_the_send_moves_no_job() -> None:
    app = app_with({"rq": 1})

    def change(deadline: Deadline) -> None:
        app.ledger.set_route(RouteRule("default", "", ONLY_DRAMATIQ, "ada"))
        app.clock.advance(TWO_SECONDS)

    app.rq.meanwhile = change
    job = app.dispatch().job()

    assert (job.engine, job.epoch, job.state) == ("rq", 1, JobState.OFFERED)
    assert app.work(app.rq) is not None
    assert first(app) == "dramatiq"


def test_what_was_offered_before_a_change_is_claimed_where_it_is() -> None:
    app = app_with({"rq": 1})
    handle = app.dispatch()
    app.ledger.set_route(RouteRule("default", "", ONLY_DRAMATIQ, "ada"))
    app.clock.advance(TWO_SECONDS)

    app.rescuer.tick()
    app.stager.tick()

    assert (handle.job().engine, handle.job().epoch) == ("rq", 1)
    assert app.work(app.rq) is not None


def test_a_job_that_is_dispatched_again_goes_where_its_own_id_leads() -> None:
    app = app_with(MOSTLY_RQ)
    for number in range(20):
        app.dispatch(idempotency_key=f"key-{number}", delay=HOUR)
        replaced = app.dispatch(
            Mail(user_id=8), idempotency_key=f"key-{number}", on_duplicate="replace"
        ).job()
        assert replaced.state is JobState.OFFERED
        assert replaced.engine == choice(replaced.id, MOSTLY_RQ)


def test_the_history_names_the_rule_that_led_the_way() -> None:
    app = app_with(kind="queue", name="default")

    handle = app.dispatch()
    elsewhere = app.dispatch(engines=["rq"])

    assert app.ledger.events(handle.id)[0].detail["reason"] == "route of queue default"
    assert not app.ledger.events(elsewhere.id)[0].detail["reason"]


def test_a_share_that_was_taken_away_gets_no_new_jobs() -> None:
    app = MemoryApp()
    app.workers()
    guarded = RouteRule("default", "", {"rq": 1, "dramatiq": 99}, "ada", guard=Guard())
    held = app.ledger.set_route(guarded)
    app.ledger.trip_route(held, Trip("dramatiq", "12 failed"))

    assert {first(app) for _ in range(50)} == {"rq"}


def test_a_paused_engine_gets_no_offers_and_what_waits_there_moves_in_time() -> None:
    app = app_with()
    handle = app.dispatch()
    app.ledger.pause(Pause("engine", "dramatiq", "ada", "its host is moved"))
    app.clock.advance(TWO_SECONDS)
    assert app.work(app.dramatiq) is None
    assert first(app) == "rq"
    assert not app.router.is_alive("dramatiq", "default")

    app.clock.advance(HOUR)
    app.workers()
    app.rescuer.tick()

    assert handle.job().engine == "rq"
    last = app.ledger.events(handle.id)[-1]
    assert last.detail["reason"] == "its engine gets no offers"
    skipped = {each.engine: each.reason for each in app.route().skipped}
    assert skipped == {"dramatiq": "engine dramatiq paused by ada: its host is moved"}


def test_a_job_for_a_paused_engine_alone_waits_for_it() -> None:
    app = app_with()
    app.ledger.pause(Pause("engine", "dramatiq", "ada"))
    app.clock.advance(TWO_SECONDS)

    handle = app.dispatch(engines=["dramatiq"])
    app.ledger.unpause("engine", "dramatiq")
    app.clock.advance(timedelta(minutes=1))
    app.workers()
    app.stager.tick()

    assert (handle.job().engine, handle.job().state) == ("dramatiq", JobState.OFFERED)


def test_many_dispatches_with_engines_of_their_own_and_by_rule_go_their_ways() -> None:
    app = app_with()
    requests = [DispatchRequest(Mail(), {"engines": ["rq"]}), DispatchRequest(Mail())]

    outcomes = app.dispatcher.dispatch_many(WELCOME, requests)

    assert [each.handle.job().engine for each in outcomes if each.handle] == ["rq", "dramatiq"]
    assert replace(app.route(), skipped=()).by_rule == "route of default"
