"""A guard takes a share away by itself, once, whichever process looks, and never to and fro."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from failsoft.dispatcher.maintenance.route_guards import RouteGuards
from failsoft.dispatcher.offering.router import LiveWorkers, Router
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.job_engine.records.routing.guard import HYSTERESIS, LOOK_EVERY, Guard
from failsoft.job_engine.records.routing.rule import RouteRule
from failsoft.job_engine.records.states import FAIL, SUCCEED
from failsoft.testing.ledger_suite.fixtures import ERROR
from tests.unit.support.memory_app import MemoryApp

SECOND = timedelta(seconds=1)
GUARD = Guard(0.05, timedelta(seconds=30))
#: How many jobs a second the share is judged by.
RATE = 4


class GuardedApp(MemoryApp):
    """Two processes that look at the guards; `dramatiq` has half of the jobs."""

    def __init__(self, guard: Guard = GUARD, **changes: Any) -> None:
        super().__init__()
        self.workers()
        self.rng = random.Random(12)
        self.numbers = iter(range(1_000_000))
        self.guards = [self.process() for _ in range(2)]
        self.set(guard, **changes)

    def process(self) -> RouteGuards:
        live = LiveWorkers(self.ledger, self.clock)
        router = Router(("rq", "dramatiq"), (), self.engines, live)
        return RouteGuards(self.ledger, router, clock=self.clock, listener=self.events)

    def set(self, guard: Guard = GUARD, kind: Any = "default", name: str = "") -> RouteRule:
        weights = {"rq": 50, "dramatiq": 50}
        return self.ledger.set_route(RouteRule(kind, name, weights, "ada", guard=guard))

    def run(
        self, seconds: int, fails: Callable[[Claim], bool], *, rate: int = RATE, **options: Any
    ) -> None:
        """Let time pass in which jobs are dispatched, carried out and guarded."""
        for _ in range(seconds):
            for _ in range(rate):
                self.carry_out(fails, **options)
            self.clock.advance(SECOND)
            for each in self.guards:
                each.tick()

    def carry_out(self, fails: Callable[[Claim], bool], **options: Any) -> None:
        job = self.dispatch(job_id=f"job-{next(self.numbers)}", **options).job()
        claim = self.claim(job)
        if claim is not None:
            end = Conclusion(FAIL, error=ERROR) if fails(claim) else Conclusion(SUCCEED, "null")
            self.ledger.conclude(claim, end)

    def share(self) -> int:
        return self.ledger.routes()[0].shares()["dramatiq"]

    def trips(self) -> int:
        return sum(event.kind == "route.tripped" for event in self.events)

    def on_dramatiq(self, failing: float) -> Callable[[Claim], bool]:
        return lambda claim: claim.engine == "dramatiq" and self.rng.random() < failing


def never(claim: Claim) -> bool:
    return False


def test_a_share_whose_attempts_fail_is_taken_away_within_a_minute() -> None:
    app = GuardedApp()
    app.run(60, never)
    assert app.share() == 50

    app.run(60, app.on_dramatiq(0.5))

    (event,) = [each for each in app.events if each.kind == "route.tripped"]
    (trip,) = app.ledger.routes()[0].trips
    assert app.share() == 0
    assert (event.engine, event.detail["route"]) == ("dramatiq", "default")
    assert event.detail["reason"] == trip.reason
    again = "failsoft routes set default --to rq=50,dramatiq=50 --guard failures=5%,wait=30s"
    assert trip.reason.endswith(f"set it again with `{again}`")
    app.run(2, never)
    assert {str(app.dispatch().job().engine) for _ in range(50)} == {"rq"}


def test_a_share_whose_attempts_go_well_enough_is_left_alone() -> None:
    app = GuardedApp(Guard(0.2))

    app.run(100, app.on_dramatiq(0.1))

    assert (app.share(), app.trips()) == (50, 0)


def test_failures_elsewhere_do_not_count() -> None:
    app = GuardedApp()

    app.run(60, lambda claim: claim.engine == "rq")

    assert (app.share(), app.trips()) == (50, 0)


def test_a_few_attempts_prove_nothing() -> None:
    app = GuardedApp()

    app.run(20, app.on_dramatiq(1.0))

    assert app.trips() == 0


def test_offers_that_no_worker_picks_up_take_the_share_away() -> None:
    app = GuardedApp()
    for number in range(120):
        app.dispatch(job_id=f"job-{number}")

    app.run(36, never, rate=0)

    assert (app.share(), app.trips()) == (0, 1)
    assert "0 failed" in app.ledger.routes()[0].trips[0].reason


def test_a_share_comes_back_only_when_its_rule_is_set_again() -> None:
    app = GuardedApp()
    app.run(60, app.on_dramatiq(1.0))
    assert app.trips() == 1

    app.run(int(2 * HYSTERESIS.total_seconds()), never, rate=0)
    before = app.share()
    app.set()

    assert (before, app.share()) == (0, 50)


def test_what_sets_its_rule_again_all_the_time_makes_no_guard_flap() -> None:
    app = GuardedApp()
    lasts, changes, before = 12 * 60, 0, app.share()

    for number in range(lasts):
        if number % 60 == 0:
            app.set()
        app.run(1, app.on_dramatiq(1.0), rate=2)
        changes, before = changes + (app.share() != before), app.share()

    # Away and back once in five minutes at most, though it is set again every minute.
    assert 2 <= app.trips() <= 1 + lasts / HYSTERESIS.total_seconds()
    assert changes <= 2 * app.trips()


def test_of_many_processes_one_looks_and_one_takes_it_away() -> None:
    app = GuardedApp()
    app.guards += [app.process() for _ in range(8)]

    app.run(60, app.on_dramatiq(1.0))

    assert app.trips() == 1
    assert len(app.ledger.routes()[0].trips) == 1


def test_another_process_goes_on_where_one_died() -> None:
    app = GuardedApp()
    app.run(20, never)
    app.guards.pop(0)

    app.run(60, app.on_dramatiq(1.0))

    assert app.trips() == 1


def test_a_rule_that_changed_since_it_was_read_is_left_alone() -> None:
    app = GuardedApp()
    app.guards = []
    app.run(30, app.on_dramatiq(1.0))
    late = app.process()
    late.tick()
    app.ledger.clear_route("default", "")
    app.set()

    app.clock.advance(LOOK_EVERY)
    late.tick()

    assert app.share() == 50


def test_what_a_stronger_rule_covers_does_not_count() -> None:
    app = GuardedApp()
    strong = RouteRule("tag", "eu", {"dramatiq": 1}, "ada")
    app.ledger.set_route(strong)
    app.clock.advance(2 * SECOND)

    app.run(30, app.on_dramatiq(1.0), tags=["eu"])

    assert app.trips() == 0


def test_an_engine_that_gets_no_offers_is_not_judged() -> None:
    app = GuardedApp()
    app.guards = []
    app.run(30, app.on_dramatiq(1.0))
    app.ledger.disable_engine(DisabledEngine("dramatiq", "ada"))
    app.guards = [app.process()]

    app.run(30, never, rate=0)
    drained = app.trips()
    app.ledger.enable_engine("dramatiq")
    app.run(10, never, rate=0)

    assert (drained, app.trips()) == (0, 1)


def test_a_rule_without_a_guard_costs_no_look() -> None:
    app = GuardedApp()
    app.ledger.set_route(RouteRule("default", "", {"rq": 50, "dramatiq": 50}, "ada"))
    guards = app.process()
    guards.tick()
    app.ledger.down()

    # What was read of the rules counts for a second; nothing else is requested of the ledger.
    assert guards.tick() == 0
