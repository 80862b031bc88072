# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of the rules that share jobs among engines, and of their guards."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.routing.guard import (
    GETS_NO_OFFERS,
    HYSTERESIS,
    LOOK_EVERY,
    NEWEST_JOBS,
    Delivery,
    Guard,
    Trip,
)
from failsoft.job_engine.records.routing.rule import RouteKind, RouteRule
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    ENDINGS,
    FIRST,
    LONG,
    MOMENT,
    SECOND,
    SUCCESS,
    PassTime,
    claimed,
    offered,
    plan,
    waiting,
)
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once

GUARD = Guard(0.05, timedelta(seconds=30))
WENT_WRONG = Trip(SECOND, "of the last 80 attempts 12 failed")
DAY = timedelta(days=1)


def rule(
    kind: RouteKind = "queue", name: str = "default", *, guard: Guard | None = None
) -> RouteRule:
    """Return a rule that is not recorded yet."""
    return RouteRule(kind, name, {FIRST: 80, SECOND: 20}, "ada", "a try", guard=guard)


class RoutePromises:
    """`set_route`: one rule for each match, until it ends or is cleared; a trip is one trip."""

    def test_a_rule_is_kept_as_it_was_set(self, ledger: Ledger) -> None:
        """With the order of its engines, which says where a share goes back to."""
        given = rule(guard=GUARD)

        held = ledger.set_route(given)

        assert ledger.routes() == [held]
        assert (held.match, held.actor, held.reason) == (("queue", "default"), "ada", "a try")
        assert list(held.weights.items()) == [(FIRST, 80), (SECOND, 20)]
        assert (held.guard, held.trips, held.until) == (GUARD, (), None)
        assert held.since is not None

    def test_rules_come_the_strongest_first(self, ledger: Ledger) -> None:
        """That of a definition, of a tag, of a queue, the default."""
        names: Sequence[tuple[RouteKind, str]] = (
            ("default", ""),
            ("queue", "mail"),
            ("tag", "eu"),
            ("job", "b"),
            ("job", "a"),
        )
        for kind, name in names:
            ledger.set_route(rule(kind, name))

        expected = [("job", "a"), ("job", "b"), ("tag", "eu"), ("queue", "mail"), ("default", "")]
        assert [each.match for each in ledger.routes()] == expected

    def test_a_rule_takes_the_place_of_the_one_for_its_match(self, ledger: Ledger) -> None:
        """Its weights, its guard, its end: nothing of the one before is left."""
        ledger.set_route(rule(guard=GUARD), LONG)

        held = ledger.set_route(RouteRule("queue", "default", {SECOND: 1}, "bob"))

        assert ledger.routes() == [held]
        assert (dict(held.weights), held.guard, held.until) == ({SECOND: 1}, None, None)
        assert held.actor == "bob"

    def test_a_rule_is_cleared_once(self, ledger: Ledger) -> None:
        """And another one is left alone."""
        ledger.set_route(rule())
        ledger.set_route(rule("default", ""))

        assert [ledger.clear_route("queue", "default") for _ in range(2)] == [True, False]
        assert [each.kind for each in ledger.routes()] == ["default"]

    def test_a_rule_holds_for_as_long_as_it_was_set_for(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """On the ledger's clock; then it is as if it had been cleared."""
        held = ledger.set_route(rule(), LONG)
        assert held.since is not None
        assert held.until == held.since + LONG

        pass_time(LONG - MOMENT)
        assert ledger.routes() == [held]
        pass_time(2 * MOMENT)

        assert ledger.routes() == []
        assert not ledger.take_guard_turn(held, LOOK_EVERY)
        assert ledger.trip_route(held, WENT_WRONG) is None
        assert not ledger.clear_route("queue", "default")

    def test_a_rule_moves_nothing_that_is_recorded(self, ledger: Ledger) -> None:
        """What waits, is offered, or runs stays as it is (rule 24)."""
        running = offered(ledger, FIRST)
        claim = claimed(ledger, running)
        ids = [running.id, offered(ledger, FIRST).id, waiting(ledger).id]
        before = [ledger.get(each) for each in ids]

        ledger.set_route(RouteRule("default", "", {SECOND: 1}, "ada"))
        ledger.set_route(rule())
        ledger.clear_route("default", "")

        assert [ledger.get(each) for each in ids] == before
        assert claimed(ledger, before[1]).engine == FIRST
        assert ledger.conclude(claim, SUCCESS) is JobState.SUCCEEDED

    def test_a_rule_from_ahead_of_the_clock_holds_for_its_span(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """And its guard judges what is recorded from now on."""
        pass_time(DAY)
        ledger.set_route(rule(), LONG)
        pass_time(-DAY)

        assert ledger.mend({}, DAY) >= 1

        (held,) = ledger.routes()
        now = ledger.clock().now
        assert held.since is not None
        assert held.until is not None
        # The clock is read for each of the two.
        assert abs(held.until - held.since - LONG) < timedelta(seconds=1)
        assert now - MOMENT < held.since <= now


class GuardPromises:
    """`trip_route`: taken away once, kept away until the rule is set again, and no sooner."""

    def test_a_share_is_taken_away_once(self, ledger: Ledger) -> None:
        """Of processes that find the same at once, one does it, and it is seen by all."""
        for _ in range(ROUNDS):
            seen = ledger.set_route(rule(guard=GUARD))

            changed = at_once([partial(ledger.trip_route, seen, WENT_WRONG) for _ in range(CROWD)])

            assert sum(each is not None for each in changed) == 1
            (held,) = ledger.routes()
            assert held.shares() == {FIRST: 80, SECOND: 0}
            (trip,) = held.trips
            assert (trip.engine, trip.reason, trip.until) == (SECOND, WENT_WRONG.reason, None)
            assert trip.at is not None
            ledger.clear_route("queue", "default")

    def test_a_rule_that_was_set_meanwhile_keeps_its_share(self, ledger: Ledger) -> None:
        """What was found of the one before says nothing about it (rule 4)."""
        seen = ledger.set_route(rule(guard=GUARD))
        ledger.set_route(rule(guard=GUARD))

        assert ledger.trip_route(seen, WENT_WRONG) is None
        (held,) = ledger.routes()
        assert held.shares() == {FIRST: 80, SECOND: 20}

    def test_a_rule_that_was_cleared_meanwhile_is_not_brought_back(self, ledger: Ledger) -> None:
        """Nor is one that was cleared and set."""
        seen = ledger.set_route(rule(guard=GUARD))
        ledger.clear_route("queue", "default")

        assert ledger.trip_route(seen, WENT_WRONG) is None
        assert ledger.routes() == []

    def test_a_share_does_not_come_back_by_itself(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """However long it is away."""
        ledger.trip_route(ledger.set_route(rule(guard=GUARD)), WENT_WRONG)

        pass_time(DAY)

        (held,) = ledger.routes()
        assert held.shares() == {FIRST: 80, SECOND: 0}

    def test_a_rule_that_is_set_again_soon_gets_its_share_back_later(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """What sets it every minute cannot let the share come and go (rule 25)."""
        ledger.trip_route(ledger.set_route(rule(guard=GUARD)), WENT_WRONG)

        for _ in range(3):
            pass_time(MOMENT)
            assert ledger.set_route(rule(guard=GUARD)).shares() == {FIRST: 80, SECOND: 0}
        pass_time(HYSTERESIS - 4 * MOMENT)
        (before,) = ledger.routes()
        pass_time(2 * MOMENT)

        (held,) = ledger.routes()
        assert before.shares() == {FIRST: 80, SECOND: 0}
        assert held.shares() == {FIRST: 80, SECOND: 20}
        assert held.guarded == (SECOND,)

    def test_a_rule_that_is_set_again_late_has_its_share_at_once(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """As has one that is cleared first: that is a decision."""
        ledger.trip_route(ledger.set_route(rule(guard=GUARD)), WENT_WRONG)
        pass_time(HYSTERESIS + MOMENT)

        again = ledger.set_route(rule(guard=GUARD))
        ledger.trip_route(again, WENT_WRONG)
        ledger.clear_route("queue", "default")

        assert again.shares() == {FIRST: 80, SECOND: 20}
        assert ledger.set_route(rule(guard=GUARD)).shares() == {FIRST: 80, SECOND: 20}

    def test_a_crowd_takes_one_turn_at_a_time(self, ledger: Ledger, pass_time: PassTime) -> None:
        """The next one is there after the pause, whichever job had the last."""
        seen = ledger.set_route(rule(guard=GUARD))
        for _ in range(3):
            turns = at_once([partial(ledger.take_guard_turn, seen, LONG) for _ in range(CROWD)])
            assert sum(turns) == 1
            pass_time(LONG + MOMENT)

    def test_a_turn_from_ahead_of_the_clock_keeps_none_from_looking(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Or a guard were blind for as long as the clock was ahead."""
        seen = ledger.set_route(rule(guard=GUARD))
        pass_time(DAY)
        assert ledger.take_guard_turn(seen, LOOK_EVERY)
        pass_time(-DAY)

        assert ledger.take_guard_turn(seen, LOOK_EVERY)


class DeliveryPromises:
    """`deliveries`: what became of an engine's offers, for a guard to judge."""

    def test_an_attempt_is_reported_with_its_end_and_its_wait(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The newest offer first; one that runs has no end yet."""
        held = ledger.set_route(rule())
        failed = offered(ledger, SECOND)
        ledger.conclude(claimed(ledger, failed), ENDINGS[JobState.FAILED])
        pass_time(MOMENT)
        running = offered(ledger, SECOND)
        pass_time(MOMENT)
        claimed(ledger, running)

        newest, oldest = _found(ledger, held)

        assert (newest.job_id, newest.outcome, newest.is_claimed) == (running.id, None, True)
        assert MOMENT <= newest.waited < LONG
        assert (oldest.job_id, oldest.outcome, oldest.epoch) == (failed.id, "fail", 1)
        assert oldest.waited < MOMENT

    def test_an_offer_that_waits_is_reported_with_its_wait_until_now(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """It has not ended, and was not missed."""
        held = ledger.set_route(rule())
        offered(ledger, SECOND)
        pass_time(MOMENT)

        (waits,) = _found(ledger, held)

        assert (waits.is_claimed, waits.is_missed, waits.outcome) == (False, False, None)
        assert waits.waited >= MOMENT

    def test_an_offer_that_was_made_again_elsewhere_was_missed(self, ledger: Ledger) -> None:
        """Its engine had not taken it, or no worker picked it up."""
        held = ledger.set_route(rule())
        ledger.offer(offered(ledger, SECOND), plan(FIRST))

        (missed,) = _found(ledger, held)

        assert (missed.epoch, missed.is_missed, missed.is_claimed) == (1, True, False)
        assert [each.epoch for each in ledger.deliveries(held, FIRST, NEWEST_JOBS)] == [2]

    def test_what_says_nothing_about_the_engine_is_left_out(self, ledger: Ledger) -> None:
        """A drained engine, a cancel before the claim, a job that was parked."""
        held = ledger.set_route(rule())
        drained, cancelled, parked = (offered(ledger, SECOND) for _ in range(3))
        ledger.offer(drained, OfferPlan(FIRST, LONG, GETS_NO_OFFERS))
        ledger.cancel(cancelled.id, "ada")
        ledger.park(parked, LONG, "paused")

        assert _found(ledger, held) == []

    def test_every_attempt_of_a_job_counts_for_the_engine_that_had_it(self, ledger: Ledger) -> None:
        """After a lost lease it goes on elsewhere."""
        held = ledger.set_route(rule())
        job = offered(ledger, SECOND)
        claimed(ledger, job)
        moved = ledger.offer(ledger.get(job.id), plan(FIRST))
        assert moved is not None
        ledger.conclude(claimed(ledger, moved), SUCCESS)

        (lost,) = _found(ledger, held)
        (ended,) = ledger.deliveries(held, FIRST, NEWEST_JOBS)

        assert (lost.epoch, lost.outcome) == (1, "recover")
        assert (ended.epoch, ended.outcome) == (2, "succeed")

    def test_a_rule_finds_the_jobs_that_it_matches(self, ledger: Ledger) -> None:
        """By definition, tag or queue; the default finds all."""
        rules = [ledger.set_route(rule(kind, name)) for kind, name in _matches()]
        job = offered(ledger, SECOND, name="a", queue="mail", tags=("new", "eu"))
        other = offered(ledger, SECOND, name="b", queue="slow", tags=("us",))

        found = [{each.job_id for each in _found(ledger, each)} for each in rules]

        assert found == [{job.id}, {job.id}, {job.id}, {job.id, other.id}]
        (first,) = _found(ledger, rules[0])
        assert (first.name, first.queue, first.tags) == ("a", "mail", ("new", "eu"))

    def test_jobs_from_before_the_rule_and_with_engines_of_their_own_are_left_out(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The rule did not share them."""
        offered(ledger, SECOND)
        pass_time(MOMENT)
        held = ledger.set_route(rule())
        offered(ledger, SECOND, engines=(SECOND,))
        waiting(ledger)

        assert _found(ledger, held) == []

    def test_a_look_goes_through_the_newest_jobs_only(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """However many there are."""
        held = ledger.set_route(rule())
        jobs: list[JobRecord] = []
        for _ in range(3):
            jobs.append(offered(ledger, SECOND))
            pass_time(MOMENT)

        found = ledger.deliveries(held, SECOND, 2)

        assert [each.job_id for each in found] == [jobs[2].id, jobs[1].id]


def _matches() -> Sequence[tuple[RouteKind, str]]:
    return ("job", "a"), ("tag", "eu"), ("queue", "mail"), ("default", "")


def _found(ledger: Ledger, held: RouteRule) -> list[Delivery]:
    return list(ledger.deliveries(held, SECOND, NEWEST_JOBS))
