"""The one table of transitions."""

from dataclasses import dataclass
from typing import Any

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.records.diagram import state_diagram
from failsoft.job_engine.records.states import TERMINAL, TRANSITIONS, Fence, Transition, permits

BORN = frozenset({JobState.OFFERED, JobState.SCHEDULED})


@dataclass(frozen=True)
class Row:
    state: JobState
    epoch: int = 3
    revision: int = 7
    engine: str = "rq"
    queue: str = "default"
    claim_id: str = "c1"


WRONG: dict[str, Any] = {"epoch": 2, "revision": 8, "engine": "dramatiq", "queue": "other"}
WRONG |= {"claim_id": "c2"}


def right_guard(transition: Transition, row: Row) -> dict[str, Any]:
    return {column: getattr(row, column) for column in transition.fence.value}


def by_name(transition: Transition) -> str:
    return transition.name


def reachable_from(states: frozenset[JobState]) -> frozenset[JobState]:
    further = states | {t.target for t in TRANSITIONS if t.sources & states}
    return states if further == states else reachable_from(further)


def test_every_name_stands_once() -> None:
    names = [transition.name for transition in TRANSITIONS]

    assert len(names) == len(set(names))


def test_every_state_can_be_reached_from_a_dispatch() -> None:
    assert reachable_from(BORN) == frozenset(JobState)


def test_a_terminal_state_is_left_by_no_transition() -> None:
    leaving = [transition.name for transition in TRANSITIONS if transition.sources & TERMINAL]

    assert leaving == []


@pytest.mark.parametrize("state", sorted(frozenset(JobState) - TERMINAL))
def test_an_end_can_be_reached_from_every_other_state(state: JobState) -> None:
    assert reachable_from(frozenset({state})) & TERMINAL


def test_the_terminal_states_know_that_they_are() -> None:
    ended = {state for state in JobState if state.is_terminal}

    assert ended == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_an_epoch_begins_with_an_offer_and_with_nothing_else(transition: Transition) -> None:
    assert transition.new_epoch is (transition.target is JobState.OFFERED)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_only_a_claim_makes_a_job_run(transition: Transition) -> None:
    assert (transition.target is JobState.RUNNING) is (transition.name == "claim")


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_a_running_job_is_left_only_by_who_holds_or_watches_it(transition: Transition) -> None:
    if JobState.RUNNING in transition.sources:
        assert transition.fence in (Fence.CLAIM, Fence.SEEN)
        assert transition.ends_attempt


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_every_transition_says_what_it_means(transition: Transition) -> None:
    assert transition.meaning
    assert transition.sources
    assert transition.meaning == transition.meaning.strip().rstrip(".")


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_the_right_guard_opens_the_allowed_states_only(
    transition: Transition, state: JobState
) -> None:
    row = Row(state)

    assert permits(transition, row, right_guard(transition, row)) is (state in transition.sources)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_one_wrong_column_closes_every_state(transition: Transition) -> None:
    for row in map(Row, transition.sources):
        for column in transition.fence.value:
            guard = right_guard(transition, row) | {column: WRONG[column]}

            assert not permits(transition, row, guard)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_a_state_that_was_seen_must_be_the_one_that_is(transition: Transition) -> None:
    for row in map(Row, transition.sources):
        guard = right_guard(transition, row)

        assert permits(transition, row, guard | {"state": row.state})
        others = set(JobState) - {row.state}
        assert not any(permits(transition, row, guard | {"state": other}) for other in others)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=by_name)
def test_a_guard_that_lacks_a_column_of_the_fence_is_an_error(transition: Transition) -> None:
    row = Row(min(transition.sources))
    for column in transition.fence.value:
        guard = right_guard(transition, row)
        del guard[column]

        with pytest.raises(KeyError):
            permits(transition, row, guard)


def test_the_diagram_shows_every_transition_and_every_end() -> None:
    lines = state_diagram().splitlines()

    assert lines[0] == "stateDiagram-v2"
    for transition in TRANSITIONS:
        for source in transition.sources:
            assert f"    {source} --> {transition.target}: {transition.name}" in lines
    assert {f"    {state} --> [*]" for state in TERMINAL} <= set(lines)
    assert len(lines) == len(set(lines))
