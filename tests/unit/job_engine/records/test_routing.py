"""Which engine a rule chooses for a job, which rule covers it, and when a guard trips."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.routing.guard import (
    HYSTERESIS,
    LEAST_ATTEMPTS,
    MOST_ATTEMPTS,
    Delivery,
    Guard,
    Trip,
    judge,
)
from failsoft.job_engine.records.routing.rule import (
    RouteRule,
    by_match,
    choice,
    rule_of,
    weights_text,
)
from failsoft.testing.ledger_suite.fixtures import new_job

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ENGINES = ("rq", "kafka", "nats", "ledger")
WEIGHTS = st.dictionaries(
    st.sampled_from(ENGINES), st.integers(0, 100), min_size=2, max_size=4
).filter(lambda weights: any(weights.values()))
IDS = [f"{random.Random(number).getrandbits(128):032x}" for number in range(10_000)]

GUARD = Guard(0.05, timedelta(seconds=30))
FINE = Delivery("j", "mail", "default", (), 1, timedelta(0), is_claimed=True, outcome="succeed")
FAILED = replace(FINE, outcome="retry")
LATE = replace(FINE, waited=timedelta(seconds=31))
WAITS = replace(FINE, is_claimed=False, outcome=None)
RUNS = replace(FINE, outcome=None)
MISSED = replace(WAITS, is_missed=True)


def rule(kind: Any = "default", name: str = "", **changes: Any) -> RouteRule:
    weights = changes.pop("weights", {"rq": 80, "kafka": 20})
    return RouteRule(kind, name, weights, "ada", **changes)


def shares(weights: Mapping[str, int]) -> Counter[str]:
    return Counter(choice(job_id, weights) for job_id in IDS)


def test_each_engine_gets_its_share() -> None:
    assert 7_900 <= shares({"rq": 80, "kafka": 20})["rq"] <= 8_100
    of_three = shares({"rq": 50, "kafka": 30, "nats": 20})
    assert [abs(of_three[name] - n) < 150 for name, n in (("rq", 5000), ("kafka", 3000))]
    assert shares({"rq": 0, "kafka": 3}) == {"kafka": 10_000}


def test_a_raised_share_only_adds_jobs() -> None:
    before = {job for job in IDS if choice(job, {"rq": 80, "kafka": 20}) == "kafka"}

    after = {job for job in IDS if choice(job, {"rq": 50, "kafka": 50}) == "kafka"}

    assert before < after
    assert 4_900 <= len(after) <= 5_100


@given(weights=WEIGHTS, engine=st.sampled_from(ENGINES), more=st.integers(1, 100))
def test_a_share_that_changes_moves_no_job_between_the_others(
    weights: dict[str, int], engine: str, more: int
) -> None:
    raised = weights | {engine: weights.get(engine, 0) + more}

    for job_id in IDS[:50]:
        before, after = choice(job_id, weights), choice(job_id, raised)
        assert after in (before, engine)


def test_the_order_of_the_engines_changes_no_choice() -> None:
    assert shares({"rq": 1, "kafka": 1}) == shares({"kafka": 1, "rq": 1})
    assert choice("one", {"rq": 1, "kafka": 1}) == choice("one", {"rq": 50, "kafka": 50})


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ("job tag queue default", "job"),
        ("tag queue default", "tag"),
        ("queue default", "queue"),
        ("default", "default"),
        ("", None),
    ],
)
def test_the_strongest_rule_covers_a_job(present: str, expected: str | None) -> None:
    names = {"job": "send_welcome", "tag": "eu", "queue": "default", "default": ""}
    rules = by_match(rule(kind, names[kind]) for kind in present.split())

    found = rule_of(new_job(tags=("eu",)), rules)

    assert (found and found.kind) == expected


def test_of_several_tags_the_first_with_a_rule_decides() -> None:
    rules = by_match([rule("tag", "us"), rule("tag", "eu")])

    found = rule_of(new_job(tags=("new", "eu", "us")), rules)

    assert found is not None
    assert found.name == "eu"


def test_a_job_that_names_its_engines_is_shared_by_no_rule() -> None:
    rules = by_match([rule(), rule("job", "send_welcome")])

    assert rule_of(new_job(engines=("rq",)), rules) is None


def test_a_rule_of_another_queue_covers_nothing_here() -> None:
    rules = by_match([rule("queue", "mail"), rule("job", "default"), rule("tag", "send_welcome")])

    assert rule_of(new_job(), rules) is None


def test_a_share_that_was_taken_away_goes_to_the_others() -> None:
    weights = {"rq": 60, "kafka": 20, "nats": 20}
    tripped = rule(weights=weights, guard=GUARD, trips=(Trip("kafka", "12 failed", NOW),))

    moved = {job: tripped.choice(job) for job in IDS[:1000]}

    assert tripped.shares() == {"rq": 60, "kafka": 0, "nats": 20}
    assert tripped.guarded == ("nats",)
    unmoved = {job: choice(job, weights) for job in moved}
    assert {job for job in moved if moved[job] != unmoved[job]} == {
        job for job in unmoved if unmoved[job] == "kafka"
    }


def test_a_rule_whose_every_share_was_taken_away_leads_to_its_first_engine() -> None:
    alone = rule(weights={"rq": 0, "kafka": 1}, guard=GUARD, trips=(Trip("kafka", "", NOW),))

    assert {alone.choice(job) for job in IDS[:100]} == {"rq"}


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ([FINE] * 47 + [FAILED] * 3, True),
        ([FINE] * 48 + [FAILED] * 2, False),
        ([FAILED] * 49, False),
        ([FINE] * 47 + [LATE] * 3, True),
        ([FINE] * 47 + [MISSED] * 3, True),
        ([RUNS] * 47 + [FAILED] * 3, True),
        ([WAITS] * 1000 + [FAILED] * 3, False),
        ([replace(WAITS, waited=LATE.waited)] * 50, True),
        # The newest count: what failed long ago does not.
        ([FINE] * MOST_ATTEMPTS + [FAILED] * 50, False),
        ([FAILED] * 11 + [FINE] * MOST_ATTEMPTS, True),
    ],
)
def test_a_guard_trips_beyond_its_limit_of_enough_attempts(
    found: list[Delivery], *, wrong: bool
) -> None:
    verdict = judge(GUARD, found)

    assert verdict.exceeds(GUARD) is wrong
    assert verdict.attempts <= MOST_ATTEMPTS


def test_without_a_limit_on_waiting_only_what_has_ended_counts() -> None:
    guard = Guard(0.05)

    verdict = judge(guard, [RUNS, LATE, WAITS, replace(WAITS, waited=LATE.waited), FAILED])

    assert (verdict.attempts, verdict.failed, verdict.late) == (2, 1, 0)


def test_a_late_attempt_that_failed_counts_once() -> None:
    verdict = judge(GUARD, [replace(LATE, outcome="fail")] * LEAST_ATTEMPTS)

    assert (verdict.failed, verdict.late) == (LEAST_ATTEMPTS, 0)
    assert "50 failed, 0 waited more than 0:00:30; 5 % may go wrong" in verdict.reason(GUARD)


def test_a_trip_outlasts_a_rule_that_is_set_again_by_the_hysteresis() -> None:
    trip, minute = Trip("kafka", "12 failed", NOW), timedelta(minutes=1)

    kept = trip.outlasting(NOW + minute)

    assert trip.holds(NOW + 100 * HYSTERESIS)
    assert kept is not None
    assert kept.until == NOW + HYSTERESIS
    assert kept.holds(NOW + HYSTERESIS - minute)
    assert not kept.holds(NOW + HYSTERESIS)
    assert trip.outlasting(NOW + HYSTERESIS) is None
    assert Trip("kafka", "").outlasting(NOW) is None
    # A clock that was ahead keeps no share away for longer.
    assert Trip("kafka", "", NOW + 100 * HYSTERESIS).outlasting(NOW) == replace(
        trip, reason="", at=NOW + 100 * HYSTERESIS, until=NOW + HYSTERESIS
    )


def test_a_rule_says_how_it_is_set_again() -> None:
    assert rule().command() == "failsoft routes set default --to rq=80,kafka=20"
    guarded = rule("job", "send mail", guard=GUARD)
    assert guarded.command() == (
        "failsoft routes set --job 'send mail' --to rq=80,kafka=20 --guard failures=5%,wait=30s"
    )
    assert str(guarded) == "route of job send mail to rq=80,kafka=20, by ada"
    assert weights_text({"rq": 1}) == "rq=1"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "host"}, "a kind job, tag, queue or default"),
        ({"kind": "queue", "name": ""}, "a name of 1 to 128 characters"),
        ({"name": "mail"}, "a name of 0 to 0 characters"),
        ({"weights": {}}, "weights by engine"),
        ({"weights": "rq=80"}, "weights by engine"),
        ({"weights": {"rq": 0}}, "a weight above zero"),
        ({"weights": {"rq": -1}}, "from 0 to 10000"),
        ({"weights": {"rq": 0.5}}, "as a whole number"),
        ({"weights": {"r\nq": 1}}, "without control characters"),
        ({"weights": {f"e{n}": 1 for n in range(17)}}, "at most 16 engines"),
        ({"guard": GUARD, "weights": {"rq": 80}}, "name the engine first that you trust"),
        ({"guard": GUARD, "weights": {"rq": 80, "kafka": 0}}, "besides that of the first"),
        ({"reason": "x" * 2001}, "a reason of 0 to 2000"),
    ],
)
def test_what_is_no_rule_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(OptionInvalidError, match=expected):
        rule(**changes)


@pytest.mark.parametrize("failures", [1.0, -0.1, "5%", True])
def test_what_is_no_limit_is_refused(failures: Any) -> None:
    with pytest.raises(OptionInvalidError, match="failures from 0 to below 1"):
        Guard(failures)
    with pytest.raises(OptionInvalidError, match="a wait above zero"):
        Guard(wait=timedelta(0))
