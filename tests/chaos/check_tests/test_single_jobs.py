"""Each check of a feature of one job passes what is right and finds what was doctored."""

from collections.abc import Callable, Iterator

import pytest

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.job_histories import Story
from tests.chaos.check_tests.sound_history import instant
from tests.chaos.history.evidence import Case
from tests.chaos.promises import effects, events, times
from tests.chaos.promises.checks import OF_EACH_JOB
from tests.chaos.workload.handlers import NOTHING, SLEEP, WAIT
from tests.chaos.workload.operations import SEND
from tests.chaos.workload.script import Script

Check = Callable[[Case], Iterator[Violation]]

#: The stories leave out what the other checks look at.
MODULES = {module.__name__ for module in (effects, events, times)}
OF_FEATURES = [check for check in OF_EACH_JOB if check.__module__ in MODULES]

TX = Script(label="tx", tx_at=1)
WAITS = Script(label="waits", waits_after=1)
SLEEPS = Script(label="sleeps", paces=[0.0, 0.0], sleep_after=1)
DELAYED = Script(label="delayed", delay=1.0)
EXPIRES = Script(label="expires", expires_in=1.5)
AFTER = 2.0 + WAIT.total_seconds()


def wrote() -> Story:
    return Story("job", TX).records("step-1", StepKind.RUN, 2.5).writes("step-1")


def waited() -> Story:
    """Two events were sent; the first wait met one before it began, the second while it waited."""
    story = Story("job", WAITS).at(1, 2, 9).begins(2.0)
    story.requested(SEND, 1.2, 1.3, op="first").requested(SEND, 4.0, 4.1, op="second")
    return story.meets("news-1", "first", 2.1).meets("news-2", "second", 4.2)


def slept() -> Story:
    story = Story("job", SLEEPS).begins(2.0).records("step-1", StepKind.RUN, 2.05)
    return story.records(SLEEP, StepKind.SLEEP, 2.1)


def expired() -> Story:
    story = Story("job", EXPIRES).at(1.0, 2.0, 2.6)
    story.never_begins(JobState.CANCELLED, "expire")
    return story.ends(JobState.CANCELLED, expires_at=instant(2.5))


@pytest.mark.parametrize("check", OF_FEATURES)
@pytest.mark.parametrize("story", [wrote, waited, expired])
def test_what_is_right_passes(check: Check, story: Callable[[], Story]) -> None:
    assert not list(check(story().case))


@pytest.mark.parametrize(
    ("check", "story"),
    [
        (effects.one_row_each, lambda: wrote().writes("step-1")),
        (effects.one_row_each, lambda: Story("job", TX).writes("step-1")),
        (
            effects.one_row_each,
            lambda: Story("job", TX).records("step-1", StepKind.RUN, 2.5),
        ),
        (effects.one_row_each, lambda: wrote().writes("step-9")),
        (
            effects.by_who_recorded_it,
            lambda: Story("job", TX).records("step-1", StepKind.RUN, 2.5).writes("step-1", 2),
        ),
        (events.met_the_same, lambda: waited().meets("news-1", "second", 5.0)),
        (
            events.met_what_was_sent,
            lambda: Story("job", WAITS).begins(2.0).meets("news-1", "invented", 2.1),
        ),
        (
            events.met_what_was_sent,
            lambda: (
                Story("job", WAITS)
                .requested(SEND, 3.0, 3.1, op="later")
                .meets("news-1", "later", 2.1)
            ),
        ),
        (
            events.met_what_was_sent,
            lambda: (
                Story("job", WAITS)
                .requested(SEND, 1.0, 1.1, op="one")
                .meets("news-1", "one", 2.1)
                .meets("news-2", "one", 2.2)
            ),
        ),
        (times.not_before_its_delay, lambda: Story("job", DELAYED).begins(1.9)),
        (times.slept_long_enough, lambda: slept().begins(2.3, step="step-2")),
        (times.slept_long_enough, lambda: slept().begins(2.9, step="step-2")),
        (times.expired_never_began, lambda: expired().begins(2.0)),
        (
            times.expired_never_began,
            lambda: Story("job", EXPIRES).ends(JobState.SUCCEEDED, expires_at=instant(1.5)),
        ),
        (times.expired_never_began, lambda: Story("job", EXPIRES)),
        (
            times.expired_never_began,
            lambda: expired().ends(JobState.CANCELLED, expires_at=instant(9)),
        ),
        (
            times.priority_is_kept,
            lambda: Story("job", DELAYED).ends(JobState.SUCCEEDED, priority=7),
        ),
    ],
)
def test_what_is_wrong_is_found(check: Check, story: Callable[[], Story]) -> None:
    assert list(check(story().case))


@pytest.mark.parametrize(("answered", "found"), [(4.0, True), (AFTER + 1, False), (None, False)])
def test_a_wait_in_vain_is_found_if_what_was_sent_was_acknowledged_in_time(
    answered: float | None, *, found: bool
) -> None:
    story = Story("job", WAITS).at(1, 2, 20).begins(2.0).meets("news-1", NOTHING, AFTER + 2)

    missed = events.misses_nothing(story.requested(SEND, 3.9, answered).case)

    assert bool(list(missed)) is found


def test_the_second_wait_has_all_its_time_from_when_the_first_was_over() -> None:
    story = waited()
    story.lines[-1:] = Story("job", WAITS).meets("news-2", NOTHING, 20.0).lines
    in_time = story.requested(SEND, AFTER, AFTER + 0.05, op="third").case

    assert list(events.misses_nothing(in_time))
