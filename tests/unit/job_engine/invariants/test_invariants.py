"""Each invariant finds the history that breaks it, and none finds anything in a sound one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.invariants import (
    CHECKS,
    Check,
    History,
    chains,
    history_of,
    repeated_keys,
    rows,
    violations,
)
from failsoft.job_engine.invariants import events as events_invariants
from failsoft.job_engine.invariants.history import Finding
from failsoft.job_engine.records.job import StepKind
from failsoft.testing import FrozenClock, LedgerSuite, MemoryLedger
from failsoft.testing.ledger_suite import PassTime
from tests.simulation.checks.related_jobs import broken_together
from tests.unit.support.sound_histories import (
    asleep,
    given_up_side_by_side,
    handed_over,
    let_go_on,
    requested_to_stop,
    requested_to_stop_side_by_side,
    retried,
    side_by_side,
)

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
        assert list(broken_together(ledger)) == []

    @pytest.fixture
    def pass_time(self, clock: FrozenClock) -> PassTime:
        return clock.advance


@pytest.mark.parametrize(
    "story",
    [
        *(handed_over, retried, requested_to_stop, asleep, let_go_on),
        *(side_by_side, given_up_side_by_side, requested_to_stop_side_by_side),
    ],
)
def test_a_sound_history_breaks_nothing(story: Callable[[], History]) -> None:
    history = story()

    assert list(violations(history)) == []


Change = Callable[[History], History]


@pytest.mark.parametrize("kind", [StepKind.SLEEP, StepKind.WAIT])
def test_what_suspends_a_job_is_recorded_when_its_attempt_ends(kind: StepKind) -> None:
    history = asleep()
    later = history.events[-1].at + timedelta(microseconds=1)

    assert not list(violations(_step(0, kind=kind, recorded_at=later)(history)))


def _event(n: int, **changes: object) -> Change:
    def change(history: History) -> History:
        events = [replace(e, **changes) if e.n == n else e for e in history.events]  # type: ignore[arg-type]  # any field
        return replace(history, events=events)

    return change


def _row(**changes: object) -> Change:
    return lambda history: replace(history, job=replace(history.job, **changes))  # type: ignore[arg-type]  # any field


def _without_event(n: int) -> Change:
    return lambda history: replace(history, events=[e for e in history.events if e.n != n])


def _one_more(n: int) -> Change:
    def change(history: History) -> History:
        copy = replace(history.events[n - 1], n=len(history.events) + 1, at=history.events[-1].at)
        return replace(history, events=[*history.events, copy])

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


def _without_the_last_attempt(history: History) -> History:
    return replace(history, attempts=history.attempts[:-1])


def _steps_swapped(history: History) -> History:
    return _step(0, epoch=2)(_step(1, epoch=1)(history))


def _step_after_the_request(history: History) -> History:
    late = replace(history.steps[0], name="late", seq=len(history.steps), kind=StepKind.RUN)
    return replace(history, steps=[*history.steps, late])


def _claimed(**detail: object) -> Change:
    def change(history: History) -> History:
        return _event(4, detail={**history.events[3].detail, **detail})(history)

    return change


def _claim_id_of_the_first(history: History) -> History:
    return _claimed(**history.events[1].detail)(history)


Case = tuple[str, Callable[[], History], Change]

# The events of `handed_over` are dispatch, claim, recover, claim, succeed.
CASES: dict[Callable[[History], Iterator[Finding]], list[Case]] = {
    rows.has_a_next_look: [("a job without a time", retried, _row(run_at=None))],
    chains.never_offered_while_it_waits: [
        ("a link that was offered", handed_over, _row(waits_for="another")),
        ("a link that will be offered", retried, _row(waits_for="another", epoch=0)),
    ],
    chains.follow_ups_can_be_read: [
        ("follow-ups cut short", handed_over, _row(follow_ups='{"then": {"job_')),
        ("follow-ups of nothing", handed_over, _row(follow_ups="[7]")),
    ],
    events_invariants.epochs_grow: [
        ("an epoch that shrinks", handed_over, _event(4, epoch=1)),
        ("an epoch that is offered again", handed_over, _event(3, epoch=1)),
    ],
    events_invariants.claimed_at_most_once: [
        ("an epoch that is claimed twice", handed_over, _event(4, epoch=1)),
        ("a claim id that is used twice", handed_over, _claim_id_of_the_first),
    ],
    rows.attempts_are_the_claims: [
        ("a claim without its attempt", handed_over, _without_the_last_attempt),
        ("an attempt without its claim", handed_over, _attempt(1, epoch=7)),
        ("an attempt of somebody else", handed_over, _attempt(1, worker="another")),
    ],
    events_invariants.concluded_by_the_newest_claim: [
        ("an end written by another worker", handed_over, _event(5, actor="another")),
        ("an end written by an older epoch", handed_over, _event(5, epoch=1)),
        ("an end without a claim", retried, _without_event(2)),
    ],
    rows.attempts_end_with_their_event: [
        ("an attempt that ended in another way", handed_over, _attempt(0, outcome="succeed")),
        ("an attempt that never ended", handed_over, _attempt(1, outcome=None, ended_at=None)),
    ],
    rows.recorded_by_who_had_claimed: [
        ("a step of nobody", handed_over, _step(1, epoch=3)),
        ("a step of nobody that a person is said to have told", let_go_on, _step(0, epoch=0)),
        ("a step of an older attempt after one of a newer", handed_over, _steps_swapped),
    ],
    rows.recorded_while_it_had_authority: [
        ("a step recorded after its attempt had lost the job", handed_over, _recorded_by(1, 0)),
    ],
    events_invariants.nothing_after_the_end: [
        ("an event after the end", handed_over, _one_more(3))
    ],
    rows.one_outcome: [
        ("a result without success", retried, _row(result="7")),
        ("an end without its moment", handed_over, _row(finished_at=None)),
    ],
    rows.recorded_once_in_its_place: [
        ("a step recorded twice", handed_over, _step(1, name="fetch")),
        ("a step in the place of another", handed_over, _step(1, seq=0)),
    ],
    rows.settled_by_a_person: [
        ("a doubt that was let go on", let_go_on, _step(1, kind=StepKind.INTENT, epoch=1)),
    ],
    events_invariants.claimed_from_its_newest_offer: [
        ("a claim by an engine that had lost the job", handed_over, _claimed(engine="first")),
    ],
    events_invariants.cancelled_or_finished: [
        ("a retry after a cancel request", requested_to_stop, _event(4, kind="retry")),
    ],
    rows.no_step_after_a_cancel: [
        ("a second step after a cancel request", requested_to_stop, _step_after_the_request),
        (
            "a step after the branches in flight",
            requested_to_stop_side_by_side,
            _step_after_the_request,
        ),
    ],
    events_invariants.changes_by_the_table: [
        ("a change that the table does not know", handed_over, _event(3, kind="teleport")),
        ("a change from a state that does not allow it", retried, _event(2, state=JobState.HELD)),
    ],
    rows.counters_as_events: [
        ("a counter that missed one", retried, _row(errors=0)),
        ("a hand-over that nobody counted", handed_over, _row(handoffs=0)),
    ],
    events_invariants.begins_with_the_dispatch: [
        ("a history without its beginning", handed_over, _without_event(1)),
        ("no history at all", handed_over, lambda history: replace(history, events=[])),
        ("a second dispatch", retried, _one_more(1)),
    ],
    events_invariants.numbered_without_a_gap: [
        ("a missing number", handed_over, _without_event(3))
    ],
    rows.row_as_its_last_event: [
        ("a row in another state", retried, _row(state=JobState.OFFERED)),
        ("a row on another engine", handed_over, _row(engine="first")),
        ("a cancel request that the row forgot", requested_to_stop, _row(cancel_requested=False)),
    ],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.rule)
def test_a_broken_history_is_found(check: Check) -> None:
    for name, story, change in CASES[check.find]:
        history = change(story())

        found = [violation for violation in violations(history) if violation.rule == check.rule]

        assert found, name
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
