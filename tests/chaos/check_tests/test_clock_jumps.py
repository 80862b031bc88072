"""A jump of the ledger's clock hides nothing from the checks but what it makes legitimate."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.job_histories import Story, evidence_of
from tests.chaos.check_tests.sound_history import SECOND, case, instant
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import AHEAD, BEHIND, RIGHT, STEADY, Leap, Timeline, marked
from tests.chaos.promises import events, ticks, times
from tests.chaos.promises.checks import OF_EACH_JOB
from tests.chaos.workload.definitions import by_the_minute, every_tick, no_overlap
from tests.chaos.workload.handlers import NOTHING, SLEEP, WAIT
from tests.chaos.workload.operations import DISPATCH, SEND
from tests.chaos.workload.script import Script

Check = Callable[[Case], Iterator[Violation]]

DELAYED = Script(label="delayed", delay=1.0)
SLEEPS = Script(label="sleeps", paces=[0.0, 0.0], sleep_after=1)
WAITS = Script(label="waits", waits_after=1)
EXPIRES = Script(label="expires", expires_in=1.5)


def jump(mark: int, began: float, ended: float) -> Timeline:
    """A clock that is ahead or behind between two moments."""
    leaps = [(began, mark), (ended, RIGHT)]
    return Timeline(0, [Leap(int(at * SECOND), int(at * SECOND), to) for at, to in leaps])


def of(story: Story, time: Timeline) -> Case:
    return evidence_of(story, time=time).cases[story.row.id]


def done() -> Story:
    story = Story("job", Script(label="done")).requested(
        DISPATCH, 0.9, 1.1, answer={"created": True}
    )
    story.begins(2.0).records("step-1", StepKind.RUN, 2.5)
    return story.ends(JobState.SUCCEEDED, result="1")


def expired() -> Story:
    story = Story("job", EXPIRES).at(1.0, 2.0, 2.6).requested(DISPATCH, 0.9, 1.1)
    story.operations[-1] = replace(story.operations[-1], answer={"created": True})
    story.never_begins(JobState.CANCELLED, "expire")
    return story.ends(JobState.CANCELLED, expires_at=instant(2.5))


@pytest.mark.parametrize("mark", [RIGHT, AHEAD, BEHIND])
@pytest.mark.parametrize("story", [done, expired])
@pytest.mark.parametrize("check", OF_EACH_JOB)
def test_what_a_clock_wrote_that_was_wrong_is_read_as_it_was(
    check: Check, story: Callable[[], Story], mark: int
) -> None:
    assert not list(check(of(story().by(mark), jump(mark, 0.5, 3.5))))


def test_a_job_ended_when_its_event_says_whatever_was_mended() -> None:
    assert case(finished_at=instant(90)).ended_at == 7 * SECOND


def delayed() -> Story:
    return Story("job", DELAYED).begins(1.5)


def slept() -> Story:
    story = Story("job", SLEEPS).at(1, 2, 3).begins(2.5, step="step-2")
    story.records("step-1", StepKind.RUN, 2.05).records(SLEEP, StepKind.SLEEP, 2.3)
    return story


@pytest.mark.parametrize(
    ("time", "passes"),
    [
        pytest.param(STEADY, False, id="it never jumped"),
        pytest.param(jump(AHEAD, 0.5, 0.9), False, id="it did before"),
        pytest.param(jump(AHEAD, 1.4, 3), True, id="ahead meanwhile"),
        pytest.param(jump(AHEAD, 0.5, 1.4), False, id="back meanwhile"),
        pytest.param(jump(BEHIND, 1.4, 3), False, id="behind meanwhile"),
        pytest.param(jump(BEHIND, 0.5, 1.4), True, id="right again meanwhile"),
        pytest.param(jump(AHEAD, 1.6, 3), False, id="it did afterwards"),
    ],
)
def test_a_delay_is_over_where_the_clock_leapt_over_it(time: Timeline, *, passes: bool) -> None:
    assert bool(list(times.not_before_its_delay(of(delayed(), time)))) is not passes


@pytest.mark.parametrize(
    ("time", "passes"),
    [(STEADY, False), (jump(AHEAD, 2.4, 3), True), (jump(AHEAD, 1, 2.2), False)],
)
def test_a_sleep_is_over_where_the_clock_leapt_over_it(time: Timeline, *, passes: bool) -> None:
    story = slept()
    # Another attempt goes on.
    story.lines[:] = [replace(line, attempt=2) for line in story.lines]

    assert bool(list(times.slept_long_enough(of(story, time)))) is not passes


@pytest.mark.parametrize(
    ("time", "passes"),
    [(STEADY, False), (jump(AHEAD, 3, 6), True), (jump(AHEAD, 5, 6), False)],
)
def test_a_wait_ends_where_the_clock_leapt_over_it(time: Timeline, *, passes: bool) -> None:
    story = Story("job", WAITS).at(1, 2, 20).begins(2.0)
    story.meets("news-1", NOTHING, 2.0 + 2 * WAIT.total_seconds()).requested(SEND, 3.9, 4.0)

    assert bool(list(events.misses_nothing(of(story, time)))) is not passes


def test_a_clock_that_is_set_back_while_a_job_expires_brings_nothing_about() -> None:
    """It was found by the right clock, and ended by one that is behind."""
    found, early = (ended_by_one_behind(at, jump(BEHIND, at - 0.05, at + 1.0)) for at in (2.6, 2.3))

    assert not list(times.expired_never_began(found))
    assert list(times.expired_never_began(early))


def ended_by_one_behind(at: float, time: Timeline) -> Case:
    """A job that expires at 2.5 s, as a clock says that was right until shortly before its end."""
    story = Story("job", EXPIRES).at(1.0, 2.0, at)
    story.never_begins(JobState.CANCELLED, "expire")
    seen = of(story.ends(JobState.CANCELLED, expires_at=instant(2.5)), time)
    *before, last = seen.history.events
    last = replace(last, at=last.at + marked(BEHIND))
    return replace(seen, history=replace(seen.history, events=[*before, last]))


def test_what_expired_by_the_clock_of_then_is_not_begun() -> None:
    late = Story("job", EXPIRES).by(AHEAD).ends(JobState.SUCCEEDED, expires_at=instant(1.5))
    in_time = Story("job", EXPIRES).by(AHEAD).ends(JobState.SUCCEEDED, expires_at=instant(2.5))

    assert list(times.expired_never_began(of(late, STEADY)))
    assert not list(times.expired_never_began(of(in_time, STEADY)))


def tick(seconds: int, name: str, created: float) -> Story:
    moment = instant(seconds)
    story = Story(f"tick-{seconds}", Script(label="from the schedule"), name)
    story.at(created, created + 0.2, created + 1).begins(created + 0.3)
    key = f"schedule:{name}:{moment.isoformat()}"
    return story.ends(JobState.SUCCEEDED, idempotency_key=key)


@pytest.mark.parametrize(
    ("time", "passes"),
    [
        (STEADY, False),
        (jump(AHEAD, 11, 14), True),
        pytest.param(jump(AHEAD, 7, 8), False, id="not so far"),
        pytest.param(jump(BEHIND, 11, 14), False, id="behind"),
    ],
)
def test_a_tick_that_the_clock_leapt_to_may_be_fired(time: Timeline, *, passes: bool) -> None:
    early = evidence_of(tick(84, every_tick.name, 12).by(AHEAD), time=time)

    assert bool(list(ticks.one_job_each(early))) is not passes


def missing(*stories: Story, until: int, name: str, time: Timeline) -> list[Violation]:
    moment: Any = instant(until)
    record = ScheduleRecord(name, "", moment, moment, moment)
    evidence: Evidence = evidence_of(*stories, schedules=[record], time=time)
    return list(ticks.none_missing(evidence))


@pytest.mark.parametrize(("mark", "found"), [(AHEAD, False), (RIGHT, True)])
def test_ticks_are_missed_by_a_process_that_starts_while_the_clock_is_ahead(
    mark: int, *, found: bool
) -> None:
    name, time = by_the_minute.name, jump(AHEAD, 118, 124)
    stories = [tick(60, name, 60), tick(180, name, 121).by(mark)]

    assert bool(missing(*stories, until=180, name=name, time=time)) is found


def test_a_schedule_that_makes_up_for_all_ticks_misses_none_by_a_jump() -> None:
    name, time = every_tick.name, jump(AHEAD, 10, 14)
    ahead = [tick(9, name, 9), *(tick(each, name, 12).by(AHEAD) for each in range(12, 88, 3))]

    assert not missing(*ahead, until=15, name=name, time=time)
    assert missing(*ahead[:1], *ahead[2:], until=15, name=name, time=time)


def fired(seconds: int, created: float, began: float, ended: float) -> Story:
    story = tick(seconds, no_overlap.name, created).at(created, began, ended)
    story.lines.clear()
    return story.begins(began)


@pytest.mark.parametrize(("ended", "found"), [(27.5, True), (28.5, False)])
def test_a_job_of_a_later_tick_is_in_the_way_of_those_that_come_again(
    ended: float, *, found: bool
) -> None:
    name, time = no_overlap.name, jump(AHEAD, 10.5, 11.8)
    ahead = fired(84, 11, 11.2, ended).by(AHEAD)
    stories = [fired(10, 10, 10.1, 10.4), ahead, fired(30, 30, 30.1, 31)]

    # Those of fifteen seconds were late by a minute for the clock that fired it.
    assert bool(missing(*stories, until=30, name=name, time=time)) is found


@pytest.mark.parametrize(("began", "found"), [(12.2, True), (84.0, False)])
def test_a_job_of_a_later_tick_overlaps_when_it_has_begun(began: float, *, found: bool) -> None:
    ahead, after = fired(84, 12, began, began + 2).by(AHEAD), fired(14, 14, 14.1, 15)

    overlaps = ticks.no_overlap(evidence_of(ahead, after, time=jump(AHEAD, 11, 13)))

    assert bool(list(overlaps)) is found


@pytest.mark.parametrize(("back", "found"), [(12.9, False), (6.0, True)])
def test_a_tick_may_be_recorded_when_the_clock_that_fired_it_was_set_back(
    back: float, *, found: bool
) -> None:
    name, time = no_overlap.name, jump(AHEAD, back - 1, back)
    stories = [fired(12, 12, 12.1, 12.5), fired(86, 13, 20, 21), fired(16, 16, 16.1, 17)]

    overlaps = ticks.no_overlap(evidence_of(*stories[1:], time=time))

    assert bool(list(overlaps)) is found
    assert bool(missing(*stories, until=18, name=name, time=time)) is found


@pytest.mark.parametrize("mark", [BEHIND, RIGHT])
@pytest.mark.parametrize(("began", "has_begun"), [(90.5, True), (95.0, False)])
def test_a_job_of_before_the_clock_was_set_back_overlaps_when_it_has_begun(
    began: float, mark: int, *, has_begun: bool
) -> None:
    before = fired(90, 90, began, began + 2)
    after = fired(16, 91, 91.5, 92).by(mark)

    overlaps = ticks.no_overlap(evidence_of(before, after, time=jump(BEHIND, 90.8, 94)))

    assert bool(list(overlaps)) is (has_begun or mark == RIGHT)


@pytest.mark.parametrize(("mark", "found"), [(BEHIND, False), (RIGHT, True)])
def test_ticks_from_before_a_schedule_need_not_be_fired(mark: int, *, found: bool) -> None:
    name, time = every_tick.name, jump(BEHIND, 75, 80)
    stories = [tick(3, name, 78).by(mark), tick(60, name, 60), tick(63, name, 63)]

    assert bool(missing(*stories, until=66, name=name, time=time)) is found
