"""The first events of a job, packed into its row: what is read is what was written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.records.states import TRANSITIONS, JobState, Transition
from failsoft.ledger.schema.packed_events import first, rest, unpacked

RECORDED = datetime(2026, 11, 28, 12, 0, 0, 123, tzinfo=UTC)


def line(n: int, later: int, epoch: int, what: str) -> str:
    """Return an event as the database completes it."""
    return f"[{n},{later},{epoch},{what}"


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda each: each.name)
def test_each_transition_is_read_as_it_was_written(transition: Transition) -> None:
    detail = {"reason": 'a "quoted", [odd] \n reason', "delay": 0.5}
    packed = line(3, 7, 2, rest(transition.target, transition.name, "a worker,]", detail))

    (found,) = unpacked("job", RECORDED, packed)

    at = RECORDED + timedelta(microseconds=7)
    wanted = (at, "a worker,]", transition.name, transition.target, 2, detail)
    assert found == HistoryEntry("job", 3, *wanted)


def test_no_two_transitions_are_written_alike() -> None:
    written = {rest(JobState.RUNNING, each.name, "w", {}) for each in TRANSITIONS}

    assert len(written) == len(TRANSITIONS)


@pytest.mark.parametrize("state", JobState)
def test_each_state_is_read_as_it_was_written(state: JobState) -> None:
    (found,) = unpacked("job", RECORDED, line(1, 0, 1, rest(state, "claim", "w", {})))

    assert (found.state, found.detail) == (state, {})


def test_a_kind_without_a_letter_is_written_out() -> None:
    (found,) = unpacked("job", RECORDED, line(1, 0, 1, rest(JobState.HELD, "of-later", "w", {})))

    assert found.kind == "of-later"


@pytest.mark.parametrize(("state", "epoch"), [(JobState.OFFERED, 1), (JobState.SCHEDULED, 0)])
def test_a_dispatch_is_the_first_event(state: JobState, epoch: int) -> None:
    (found,) = unpacked("job", RECORDED, first(state, "web", {"engine": "rq"}))

    wanted = (1, RECORDED, "web", "dispatch", state, epoch, {"engine": "rq"})
    assert found == HistoryEntry("job", *wanted)


def test_a_row_without_a_history_has_none() -> None:
    assert unpacked("job", RECORDED, None) == ()


@pytest.mark.parametrize("broken", ["[1,0,1", '[1,0,1,"?d","w"]', "[1,0]", '[1,0,1,"","w"]'])
def test_what_cannot_be_read_is_a_value_error(broken: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpacked("job", RECORDED, broken)
