"""Each check of the effect log passes what is right and finds what was doctored."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.sound_history import (
    ATTEMPTS,
    LINES,
    OPERATIONS,
    SCRIPT,
    SECOND,
    STEPS,
    case,
    instant,
    line,
    operation,
)
from tests.chaos.history.evidence import Case
from tests.chaos.promises import ends as end_promises
from tests.chaos.promises import steps as step_promises
from tests.chaos.promises.checks import OF_EACH_JOB
from tests.chaos.system.restarted_process import Freeze
from tests.chaos.workload.operations import CANCEL
from tests.deployments.effect_log import BEGUN, ENDED, Line

Check = Callable[[Case], Iterator[Violation]]
LATE_BEGIN = line(BEGUN, "step-2", 1, 4.5)


@pytest.mark.parametrize("check", OF_EACH_JOB)
def test_what_is_right_passes(check: Check) -> None:
    assert not list(check(case()))


@pytest.mark.parametrize(
    ("check", "more"),
    [
        (step_promises.ran_under_its_claim, [line(BEGUN, "step-1", 3, 6.8)]),
        (step_promises.ran_under_its_claim, [line(BEGUN, "step-1", 2, 6.8, engine="rq")]),
        (step_promises.ran_under_its_claim, [line(BEGUN, "step-1", 2, 4.9)]),
        (step_promises.one_run_each, [line(BEGUN, "step-2", 2, 6.1)]),
        (step_promises.one_run_each, [line(BEGUN, "step-3", 2, 6.1, pid=77)]),
        (step_promises.finished_stay_finished, [line(BEGUN, "step-1", 2, 5.5)]),
        (step_promises.finished_stay_finished, [line(BEGUN, "step-2", 1, 8.9)]),
        (step_promises.nothing_begins_without_authority, [line(BEGUN, "step-3", 1, 6.5)]),
        (step_promises.nothing_begins_without_authority, [line(BEGUN, "step-3", 2, 9.5)]),
        (
            step_promises.nothing_begins_without_authority,
            [LATE_BEGIN, line(BEGUN, "step-3", 1, 4.6)],
        ),
        (step_promises.effects_are_bounded, [line(BEGUN, "step-1", 2, 5.5)]),
    ],
)
def test_a_step_that_should_not_have_begun_is_found(check: Check, more: Sequence[Line]) -> None:
    assert list(check(case([*LINES, *more])))


def test_a_second_run_after_an_attempt_that_succeeded_is_found() -> None:
    ends = [replace(ATTEMPTS[0], outcome="suspend"), ATTEMPTS[1]]

    assert list(step_promises.effects_are_bounded(case(attempts=ends)))


def test_one_late_step_of_an_attempt_that_lost_its_authority_is_let_pass() -> None:
    late = case([*LINES[:2], LATE_BEGIN, *LINES[3:]])

    assert not list(step_promises.nothing_begins_without_authority(late))


def test_a_step_that_is_very_late_is_let_pass_only_for_a_process_that_was_frozen() -> None:
    lines = [*LINES[:2], line(BEGUN, "step-2", 1, 9.0), *LINES[3:]]
    frozen = [Freeze("rq-threads", 3 * SECOND, 8 * SECOND)]
    another = [Freeze("rq-children", 3 * SECOND, 8 * SECOND)]

    for check in (
        step_promises.nothing_begins_without_authority,
        step_promises.finished_stay_finished,
    ):
        assert not list(check(case(lines, freezes=frozen)))
        assert list(check(case(lines, freezes=another)))


def test_a_recorded_step_that_was_not_done_is_found() -> None:
    for lines in (LINES[2:], [LINES[0], *LINES[2:]], [each for each in LINES if each.attempt == 2]):
        assert list(step_promises.recorded_was_done(case(lines)))


def test_a_step_that_was_recorded_before_it_ended_is_found() -> None:
    early = [replace(STEPS[0], recorded_at=instant(2.2)), STEPS[1]]

    assert list(step_promises.recorded_was_done(case(steps=early)))


@pytest.mark.parametrize(
    ("result", "returned", "found"),
    [("requested", 2.65, False), ("requested", 2.0, True), ("cancelled", 0.01, True)],
)
def test_steps_that_begin_after_a_cancel_are_found(
    result: str, returned: float, *, found: bool
) -> None:
    cancel = operation(CANCEL, returned - 0.01, returned, answer={"result": result})
    only_the_first = [each for each in LINES if each.attempt == 1]

    broken = step_promises.cancelled_goes_no_further(case(only_the_first, [*OPERATIONS, cancel]))

    assert bool(list(broken)) is found


def test_a_cancel_that_came_too_late_forbids_nothing() -> None:
    cancel = operation(CANCEL, 1.9, 2.0, answer={"result": "ended"})

    assert not list(step_promises.cancelled_goes_no_further(case(LINES, [cancel])))


def test_the_end_of_a_step_proves_it_only_for_its_own_attempt() -> None:
    by_another = [*LINES[:1], line(ENDED, "step-1", 2, 2.5), *LINES[2:]]

    assert list(step_promises.recorded_was_done(case(by_another)))


def test_a_once_step_that_began_twice_is_found_unless_it_was_verified() -> None:
    # As it stands, step-2 was begun by both attempts: right for a plain step only.
    for verified in (False, True):
        script = SCRIPT.model_copy(update={"once_at": 2, "verified": verified})
        its = case(payload=script.model_dump_json())

        assert bool(list(step_promises.once_begins_once(its))) is not verified


def test_a_verified_step_may_be_recorded_by_who_found_it_done() -> None:
    found = [STEPS[0], replace(STEPS[1], kind=StepKind.ONCE)]
    done_by_the_first = [*LINES[:3], line(ENDED, "step-2", 1, 3.9)]

    for verified in (False, True):
        script = SCRIPT.model_copy(update={"once_at": 2, "verified": verified})
        its = case(done_by_the_first, steps=found, payload=script.model_dump_json())

        assert bool(list(step_promises.recorded_was_done(its))) is not verified


@pytest.mark.parametrize(
    ("once_at", "verified", "complains"), [(2, False, False), (2, True, True), (1, False, True)]
)
def test_a_job_is_held_only_for_a_step_in_doubt(
    once_at: int, *, verified: bool, complains: bool
) -> None:
    script = SCRIPT.model_copy(update={"once_at": once_at, "verified": verified})
    steps = [STEPS[0], replace(STEPS[1], kind=StepKind.INTENT)]
    its = case(state=JobState.HELD, steps=steps, payload=script.model_dump_json())

    assert bool(list(end_promises.ended(its))) is complains
