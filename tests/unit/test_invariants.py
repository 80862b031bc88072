"""Each invariant finds the history that breaks it, and none finds anything in a sound one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from understudy.job_engine.invariants import (
    CHECKS,
    History,
    history_of,
    repeated_keys,
    violations,
)
from understudy.job_engine.records import Conclusion, EventRecord, StepKind, StepRecord
from understudy.job_engine.states import RETRY, SUSPEND, JobState
from understudy.testing import FrozenClock, LedgerSuite, MemoryLedger
from understudy.testing.ledger_suite import PassTime, scene

MINUTE = timedelta(minutes=1)


class TestEveryPromiseLeavesSoundHistories(LedgerSuite):
    """Whatever the conformance suite does to a ledger, every history is sound after it."""

    @pytest.fixture
    def clock(self) -> FrozenClock:
        return FrozenClock()

    @pytest.fixture
    def ledger(self, clock: FrozenClock) -> Iterator[MemoryLedger]:
        ledger = MemoryLedger(clock)
        yield ledger

        ledger.up()
        ids = [job.id for job in ledger.list_jobs(limit=1_000)]
        assert [found for each in ids for found in violations(history_of(ledger, each))] == []

    @pytest.fixture
    def pass_time(self, clock: FrozenClock) -> PassTime:
        return clock.advance


def handed_over() -> History:
    """Tell of a job that lost its first worker after a step, and succeeded on the other engine."""
    ledger, clock = _ledger()
    claim = scene.started(ledger)
    ledger.record(claim, scene.step("fetch", 0))
    clock.advance(MINUTE)
    second = scene.taken_over(ledger, claim)
    clock.advance(MINUTE)
    ledger.record(second, scene.step("send", 1))
    ledger.conclude(second, scene.SUCCESS)
    return history_of(ledger, claim.job_id)


def retried() -> History:
    """Tell of a job whose handler raised once, and that waits."""
    ledger, clock = _ledger()
    claim = scene.started(ledger)
    clock.advance(MINUTE)
    ledger.conclude(claim, Conclusion(RETRY, error=scene.ERROR, delay=MINUTE))
    return history_of(ledger, claim.job_id)


def asked_to_stop() -> History:
    """Tell of a running job that somebody cancelled; the step in flight was recorded."""
    ledger, clock = _ledger()
    claim = scene.started(ledger)
    clock.advance(MINUTE)
    ledger.cancel(claim.job_id, "somebody")
    clock.advance(MINUTE)
    ledger.record(claim, scene.step("fetch", 0))
    ledger.conclude(claim, Conclusion(RETRY, error=scene.ERROR))
    return history_of(ledger, claim.job_id)


def asleep() -> History:
    """Tell of a job that sleeps."""
    ledger, clock = _ledger()
    claim = scene.started(ledger)
    clock.advance(MINUTE)
    nap = StepRecord("nap", 0, StepKind.SLEEP, '"for 0:01:00"')
    ledger.conclude(claim, Conclusion(SUSPEND, delay=MINUTE, step=nap))
    return history_of(ledger, claim.job_id)


def _ledger() -> tuple[MemoryLedger, FrozenClock]:
    clock = FrozenClock()
    return MemoryLedger(clock), clock


STORIES = (handed_over, retried, asked_to_stop, asleep)


@pytest.mark.parametrize("story", STORIES)
def test_a_sound_history_breaks_nothing(story: Callable[[], History]) -> None:
    history = story()

    assert list(violations(history)) == []


def test_every_check_is_broken_by_some_case_below() -> None:
    rules = {check.rule for check in CHECKS}

    assert rules == {rule for _, _, rule in CASES.values()}


Change = Callable[[History], History]


def _event(n: int, **changes: object) -> Change:
    """Return a change to the nth event."""

    def change(history: History) -> History:
        events = [replace(e, **changes) if e.n == n else e for e in history.events]  # type: ignore[arg-type]  # any field
        return replace(history, events=events)

    return change


def _row(**changes: object) -> Change:
    return lambda history: replace(history, job=replace(history.job, **changes))  # type: ignore[arg-type]  # any field


def _without_event(n: int) -> Change:
    return lambda history: replace(history, events=[e for e in history.events if e.n != n])


def _one_more(n: int, **changes: object) -> Change:
    """Return a change that appends a copy of the nth event."""

    def change(history: History) -> History:
        at = history.events[-1].at
        copy: EventRecord = replace(history.events[n - 1], n=len(history.events) + 1, at=at)
        return replace(history, events=[*history.events, replace(copy, **changes)])  # type: ignore[arg-type]  # any field

    return change


def _step(place: int, **changes: object) -> Change:
    def change(history: History) -> History:
        steps = list(history.steps)
        steps[place] = replace(steps[place], **changes)  # type: ignore[arg-type]  # any field
        return replace(history, steps=steps)

    return change


def _attempt(place: int, **changes: object) -> Change:
    def change(history: History) -> History:
        attempts = list(history.attempts)
        attempts[place] = replace(attempts[place], **changes)  # type: ignore[arg-type]  # any field
        return replace(history, attempts=attempts)

    return change


def _recorded_by(epoch: int, place: int) -> Change:
    """Return a change that lets a step be recorded by another epoch, long after its end."""

    def change(history: History) -> History:
        at = history.events[-1].at + MINUTE
        return _step(place, epoch=epoch, recorded_at=at)(history)

    return change


def _step_after_the_request(history: History) -> History:
    late = replace(history.steps[0], name="late", seq=1)
    return replace(history, steps=[*history.steps, late])


# The events of `handed_over` are dispatch, claim, recover, claim, succeed.
CASES: dict[str, tuple[Callable[[], History], Change, str]] = {
    "a waiting job without a time": (
        retried,
        _row(run_at=None),
        "a job that is not over has a moment at which somebody looks at it",
    ),
    "an epoch that shrinks": (
        handed_over,
        _event(4, epoch=1),
        "epochs only grow, and each is offered once",
    ),
    "an epoch that is offered again": (
        handed_over,
        _event(3, epoch=1),
        "epochs only grow, and each is offered once",
    ),
    "an epoch that is claimed twice": (
        handed_over,
        _event(4, epoch=1),
        "each epoch is claimed at most once",
    ),
    "a claim id that is used twice": (
        handed_over,
        lambda history: _event(4, detail=history.events[1].detail)(history),
        "each epoch is claimed at most once",
    ),
    "a claim without its attempt": (
        handed_over,
        lambda history: replace(history, attempts=history.attempts[:1]),
        "every claim is an attempt, and every attempt a claim",
    ),
    "an attempt without its claim": (
        handed_over,
        _attempt(1, epoch=7),
        "every claim is an attempt, and every attempt a claim",
    ),
    "an attempt of somebody else": (
        handed_over,
        _attempt(1, worker="another"),
        "every claim is an attempt, and every attempt a claim",
    ),
    "an end written by another worker": (
        handed_over,
        _event(5, actor="another"),
        "only the newest claim concludes",
    ),
    "an end written by an older epoch": (
        handed_over,
        _event(5, epoch=1),
        "only the newest claim concludes",
    ),
    "an end without a claim": (
        retried,
        _without_event(2),
        "only the newest claim concludes",
    ),
    "an attempt that ended in another way": (
        handed_over,
        _attempt(0, outcome="succeed"),
        "an attempt ends once, as its event says",
    ),
    "an attempt that never ended": (
        handed_over,
        _attempt(1, outcome=None, ended_at=None),
        "an attempt ends once, as its event says",
    ),
    "a step of nobody": (
        handed_over,
        _step(1, epoch=3),
        "steps are recorded by attempts, the newest last",
    ),
    "a step of an older attempt after one of a newer": (
        handed_over,
        lambda history: _step(0, epoch=2)(_step(1, epoch=1)(history)),
        "steps are recorded by attempts, the newest last",
    ),
    "a step recorded after its attempt had lost the job": (
        handed_over,
        _recorded_by(1, 0),
        "a step is recorded while its attempt has the authority",
    ),
    "an event after the end": (
        handed_over,
        _one_more(3),
        "nothing follows a terminal state",
    ),
    "a result without success": (
        retried,
        _row(result="7"),
        "a result belongs to a success, an end has its moment",
    ),
    "an end without its moment": (
        handed_over,
        _row(finished_at=None),
        "a result belongs to a success, an end has its moment",
    ),
    "a step recorded twice": (
        handed_over,
        _step(1, name="fetch"),
        "a step is recorded once, in its place",
    ),
    "a step that was left out": (
        handed_over,
        lambda history: replace(history, steps=history.steps[1:]),
        "a step is recorded once, in its place",
    ),
    "a claim by the engine that had lost the job": (
        handed_over,
        lambda history: _event(4, detail={**history.events[3].detail, "engine": "first"})(history),
        "a job is claimed from its newest offer, by the engine it names",
    ),
    "a retry after a cancel request": (
        asked_to_stop,
        _event(4, kind="retry", state=JobState.SCHEDULED),
        "a job asked to stop is cancelled, or had finished",
    ),
    "a second step after a cancel request": (
        asked_to_stop,
        _step_after_the_request,
        "no step begins after a cancel request",
    ),
    "a change that the table does not know": (
        handed_over,
        _event(3, kind="teleport"),
        "every change of state is in the table",
    ),
    "a change from a state that does not allow it": (
        retried,
        _event(2, state=JobState.HELD),
        "every change of state is in the table",
    ),
    "a counter that missed one": (
        retried,
        _row(errors=0),
        "counters agree with the events",
    ),
    "a hand-over that nobody counted": (
        handed_over,
        _row(handoffs=0),
        "counters agree with the events",
    ),
    "a history without its beginning": (
        handed_over,
        _without_event(1),
        "a history begins with the dispatch",
    ),
    "no history at all": (
        handed_over,
        lambda history: replace(history, events=[]),
        "a history begins with the dispatch",
    ),
    "a second dispatch": (
        retried,
        _one_more(1),
        "a history begins with the dispatch",
    ),
    "a number that is missing": (
        handed_over,
        _without_event(3),
        "events are numbered without a gap",
    ),
    "a row in another state": (
        retried,
        _row(state=JobState.OFFERED),
        "the row is as its last event left it",
    ),
    "a row on another engine": (
        handed_over,
        _row(engine="first"),
        "the row is as its last event left it",
    ),
    "a cancel request that the row forgot": (
        asked_to_stop,
        _row(cancel_requested=False),
        "the row is as its last event left it",
    ),
}


@pytest.mark.parametrize(("story", "change", "rule"), CASES.values(), ids=CASES)
def test_a_broken_history_is_found(story: Callable[[], History], change: Change, rule: str) -> None:
    history = change(story())

    found = [violation for violation in violations(history) if violation.rule == rule]

    assert found
    assert {violation.job_id for violation in found} == {history.job.id}


def test_a_violation_names_the_events_that_show_it() -> None:
    history = _one_more(3)(handed_over())

    (found,) = (v for v in violations(history) if v.invariant == "I4" and v.events)

    assert [event.kind for event in found.events] == ["succeed", "recover"]
    assert found.found.startswith("recover (offered, epoch 2 on second)")


def test_a_clock_that_was_set_back_proves_nothing_about_steps() -> None:
    history = _recorded_by(1, 0)(handed_over())
    set_back = _event(5, at=history.events[0].at - MINUTE)(history)

    rules = {violation.rule for violation in violations(set_back)}

    assert "a step is recorded while its attempt has the authority" not in rules


def test_two_jobs_may_not_share_a_name_and_a_key() -> None:
    job = handed_over().job
    first, second = (replace(job, id=name, idempotency_key="order-7") for name in "ab")
    other = replace(job, id="c", name="another", idempotency_key="order-7")
    without = (replace(job, id=name, idempotency_key=None) for name in "de")

    found = list(repeated_keys([first, second, other, *without]))

    assert [(v.job_id, v.invariant) for v in found] == [("b", "I10")]
    assert "is job a, too" in found[0].found
