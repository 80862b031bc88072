"""Each check of the acknowledgement log, of the ends and of the whole finds what was doctored."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.invariants import violations as shared_violations
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.sound_history import (
    EVENTS,
    JOB,
    LABEL,
    LINES,
    OPERATIONS,
    SECOND,
    STEPS,
    case,
    evidence,
    history,
    operation,
)
from tests.chaos.history.evidence import Evidence, gather
from tests.chaos.promises import ends, requests
from tests.chaos.promises.checks import OF_THE_RUN, vacuous, violations
from tests.chaos.promises.requests import TAIL
from tests.chaos.workload.operations import CONFLICT, DISPATCH, FAIL, INFO, Operation

Check = Callable[[Evidence], Iterator[Violation]]
SCRIPTED = ErrorRecord("tests.chaos.workload.definitions.ScriptedError", "step-1")


@pytest.mark.parametrize("check", OF_THE_RUN)
def test_what_is_right_passes(check: Check) -> None:
    assert not list(check(evidence()))


@pytest.mark.parametrize(
    ("check", "more"),
    [
        (requests.acknowledged_is_there, operation(DISPATCH, 1, 2, job_id="lost")),
        (
            requests.acknowledged_is_there,
            operation("read", 3, 4, outcome=INFO, answer={"error": "JobNotFoundError"}),
        ),
        (requests.one_job_each, operation(DISPATCH, 1, 2, job_id="another")),
        (requests.created_once, operation(DISPATCH, 1, 2, answer={"created": True})),
        (requests.other_work_is_refused, operation(CONFLICT, 3, 4)),
    ],
)
def test_a_wrong_answer_is_found(check: Check, more: Operation) -> None:
    assert list(check(evidence(operations=[*OPERATIONS, more])))


def test_a_job_that_ran_and_is_not_in_the_ledger_is_found() -> None:
    stranger = replace(LINES[0], job_id="stranger")

    assert list(requests.acknowledged_is_there(evidence([*LINES, stranger])))


@pytest.mark.parametrize("made", [[], [operation(DISPATCH, 0.5, 1.5, outcome=FAIL)]])
def test_a_job_that_was_not_requested_is_found(made: Sequence[Operation]) -> None:
    assert list(requests.requested(evidence(operations=made)))


def test_a_job_of_a_request_whose_answer_is_unknown_is_no_invention() -> None:
    assert not list(requests.requested(evidence(operations=[operation(DISPATCH, 0.5, None)])))


def test_two_jobs_of_one_request_are_found() -> None:
    both = [history(), history(id="job-2")]

    assert list(requests.one_job_each(gather(both, OPERATIONS, LINES)))


def test_a_tail_without_success_is_found() -> None:
    good = [operation(DISPATCH, 10 + n, 10.5 + n) for n in range(TAIL)]
    bad = replace(good[-1], outcome=INFO)

    assert not list(requests.healthy_again(evidence(operations=good), 9 * SECOND))
    assert list(requests.healthy_again(evidence(operations=[*good[:-1], bad]), 9 * SECOND))
    assert list(requests.healthy_again(evidence(operations=good[1:]), 9 * SECOND))


@pytest.mark.parametrize("state", [JobState.OFFERED, JobState.HELD, JobState.RUNNING])
def test_a_job_that_has_not_ended_is_found(state: JobState) -> None:
    assert list(ends.ended(case(state=state)))


@pytest.mark.parametrize(
    "changed",
    [
        {"state": JobState.FAILED, "result": None},
        {"state": JobState.FAILED, "result": None, "errors": 3, "error": SCRIPTED},
        {"state": JobState.CANCELLED, "result": None},
        {"result": "3"},
        {"steps": STEPS[:1]},
    ],
)
def test_an_end_without_a_reason_is_found(changed: dict[str, Any]) -> None:
    assert list(ends.ended_for_a_reason(case(**changed)))


def test_a_crash_loop_is_a_reason_to_fail() -> None:
    assert not list(ends.ended_for_a_reason(case(state=JobState.FAILED, crashes=3)))


@pytest.mark.parametrize(
    "events",
    [
        [*EVENTS[:2], replace(EVENTS[1], n=3), *EVENTS[2:]],
        [*EVENTS[:2], replace(EVENTS[2], epoch=1), *EVENTS[3:]],
        [*EVENTS, replace(EVENTS[-1], n=6)],
    ],
    ids=["two claims of an epoch", "an epoch that does not grow", "two outcomes"],
)
def test_the_shared_invariants_see_the_same_histories(events: Sequence[object]) -> None:
    assert list(shared_violations(history(events=events)))


def test_everything_is_checked_at_once() -> None:
    lost = operation(DISPATCH, 1, 2, job_id="lost", answer={"created": False})

    found = list(violations(evidence(operations=[*OPERATIONS, lost]), healed=0))

    assert {each.job_id for each in found} >= {"lost"}


def test_a_run_that_saw_nothing_is_vacuous() -> None:
    assert vacuous({"jobs": 3}, {"jobs": 4, "hand-offs": 1})
    assert not vacuous({"jobs": 4, "hand-offs": 1}, {"jobs": 4, "hand-offs": 1})


def test_the_doctored_label_is_the_deeds() -> None:
    assert evidence().labels == {LABEL: [JOB]}
