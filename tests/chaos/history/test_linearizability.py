"""The search finds an order where there is one, and none for answers that were never true."""

import pytest

from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.sound_history import EVENTS, OPERATIONS, case, event, operation
from tests.chaos.history.linearizability import answers_fit_the_events
from tests.chaos.workload.operations import CANCEL, DISPATCH, INFO, READ, Operation

CANCELLED = (
    event(1, 1.0, "dispatch", JobState.OFFERED, engine="rq"),
    event(2, 2.0, "cancel", JobState.CANCELLED),
)
MADE = OPERATIONS[0]


def fits(*operations: Operation, events: object = EVENTS) -> bool:
    return not list(answers_fit_the_events(case(operations=operations, events=events)))


def read(invoked: float, returned: float, state: str, epoch: int) -> Operation:
    return operation(READ, invoked, returned, answer={"state": state, "epoch": epoch})


def cancel(invoked: float, returned: float, result: str) -> Operation:
    return operation(CANCEL, invoked, returned, answer={"result": result})


def test_what_is_right_fits() -> None:
    assert fits(*OPERATIONS)


@pytest.mark.parametrize(
    ("answer", "is_possible"),
    [
        (read(1.5, 1.8, "offered", 1), True),
        (read(1.5, 4.5, "running", 1), True),
        (read(4.5, 4.8, "running", 1), True),  # the commit may have come later than its stamp
        (read(5.3, 5.8, "running", 1), False),
        (read(1.5, 1.8, "running", 1), False),
        (read(8.0, 8.1, "offered", 2), False),
        (read(4.2, 4.8, "offered", 1), False),
        (read(8.0, 8.1, "succeeded", 2), True),
    ],
)
def test_a_read_must_have_been_true_at_some_time_while_it_lasted(
    answer: Operation, *, is_possible: bool
) -> None:
    assert fits(MADE, answer) is is_possible


def test_two_reads_that_go_back_in_time_do_not_fit() -> None:
    newer, older = read(3.0, 5.5, "running", 2), read(5.6, 5.7, "offered", 2)

    assert fits(MADE, newer)
    assert not fits(MADE, newer, older)


@pytest.mark.parametrize(
    ("answer", "is_possible"),
    [
        (cancel(1.5, 2.5, "cancelled"), True),
        (cancel(2.5, 3.0, "cancelled"), False),
        (cancel(1.2, 1.5, "cancelled"), False),
    ],
)
def test_a_cancel_must_have_had_its_effect_while_it_lasted(
    answer: Operation, *, is_possible: bool
) -> None:
    assert fits(MADE, answer, events=CANCELLED) is is_possible


def test_a_cancel_answered_that_the_job_had_ended_fits_only_after_the_end() -> None:
    assert fits(MADE, cancel(7.5, 8.0, "ended"))
    assert not fits(MADE, cancel(5.5, 6.0, "ended"))


def test_a_cancel_that_was_acknowledged_and_left_no_event_does_not_fit() -> None:
    assert not fits(MADE, cancel(2.5, 3.0, "requested"))
    assert not fits(MADE, cancel(1.2, 1.8, "cancelled"))


def test_one_effect_is_not_the_answer_to_two() -> None:
    both = cancel(1.5, 2.5, "cancelled"), cancel(1.6, 2.6, "cancelled")

    assert not fits(MADE, *both, events=CANCELLED)


def test_an_effect_needs_a_request() -> None:
    unknown = operation(CANCEL, 1.5, None, outcome=INFO)

    assert not fits(MADE, events=CANCELLED)
    assert fits(MADE, unknown, events=CANCELLED)
    assert not fits(operation(DISPATCH, 3.0, 4.0, answer={"created": True}))


def test_a_job_that_was_found_must_have_been_there() -> None:
    found = operation(DISPATCH, 0.2, 0.4, answer={"created": False})

    assert not fits(MADE, found)
    assert fits(MADE, operation(DISPATCH, 0.2, 1.4, answer={"created": False}))
