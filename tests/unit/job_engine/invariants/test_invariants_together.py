"""Each invariant of jobs that have to do with each other finds what breaks it, and nothing else."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import GroupRecord, JobState
from failsoft.job_engine.invariants import (
    Violation,
    chains,
    children,
    groups,
    hooks,
    pauses,
    schedules,
    waits,
)
from failsoft.job_engine.records.follow_ups import FollowUps, NextJob, OnFailureJob, failure_id
from failsoft.job_engine.records.job import StepKind, StepRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.schedules import ScheduleRecord, tick_id, tick_key
from failsoft.job_engine.records.waits import end_topic, event_topic
from tests.unit.support.sound_histories import handed_over

SUCCEEDED, FAILED, CANCELLED = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED
SCHEDULED, OFFERED, RUNNING = JobState.SCHEDULED, JobState.OFFERED, JobState.RUNNING
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)

JOB = replace(handed_over().job, id="job", result="42")
NOW = JOB.created_at

FIRST = replace(
    JOB, id="chain-0", state=RUNNING, follow_ups=FollowUps(then=NextJob("chain-1")).text
)
NEXT = replace(JOB, id="chain-1", state=SCHEDULED, waits_for="chain-0")
STARTED = replace(NEXT, waits_for=None)
LATER = replace(STARTED, created_at=NOW + HOUR)

GROUP = GroupRecord("group", "5ad1", "all_succeeded", "done", total=4, succeeded=2, failed=1)
OVER = replace(GROUP, sealed=True, succeeded=4, failed=0)
DONE = replace(JOB, id="done", state=SCHEDULED, waits_for="group")
BEGUN = replace(DONE, waits_for=None, state=RUNNING)

BROKE = replace(
    JOB, id="broke", state=FAILED, follow_ups=FollowUps(OnFailureJob("tell", "default")).text
)
HOOK = replace(JOB, id=failure_id("broke"), name="tell")

TICK = NOW - HOUR
SCHEDULE = ScheduleRecord(
    "sweep",
    "{}",
    NOW,
    NOW,
    NOW + HOUR,
    last_at=TICK,
    last_job_id=tick_id("sweep", TICK),
)
FIRED = schedules.Fired(tick_id("sweep", TICK), "sweep", tick_key("sweep", TICK), TICK + SECOND)

ENDED = {"job": "child", "state": "succeeded", "result": "42", "error": None}
WAIT = waits.met_from("job", StepRecord("invoke", 0, StepKind.WAIT, '{"job": "child"}', 1))
TOLD = waits.met_from("job", StepRecord("invoke", 0, StepKind.ANSWERED, json.dumps(ENDED), 2))
ANSWERED = waits.met_from(
    "job", StepRecord("wait", 0, StepKind.ANSWERED, '{"id": "e", "payload": 1}', 1)
)
CHILD = children.Child(
    replace(JOB, id="child", parent_id="job", state=SUCCEEDED), 1, JOB, 0, [TOLD]
)
AWAITING = waits.Awaiting(
    "job", SCHEDULED, end_topic("child"), NOW + HOUR, True, [WAIT], RUNNING, None
)
PAUSE = Pause("queue", "default", "ada", since=NOW)

Check = Callable[..., Iterable[Violation]]

SOUND: list[tuple[Check, list[Any]]] = [
    (
        chains.waits_in_vain,
        [
            chains.Waiting("chain-1", "chain-0", FIRST, None),
            chains.Waiting("done", "group", None, GROUP),
            # A job may have the id of a group.
            chains.Waiting("chain-1", "chain-0", FIRST, replace(OVER, id="chain-0")),
        ],
    ),
    (
        chains.started_out_of_turn,
        [
            chains.Link(FIRST, NEXT),
            chains.Link(replace(FIRST, state=SUCCEEDED), STARTED),
            chains.Link(replace(FIRST, state=FAILED), replace(NEXT, state=CANCELLED)),
            # The id was free again when another job took it.
            chains.Link(FIRST, LATER),
        ],
    ),
    (
        groups.miscounted,
        [
            groups.Tally(GROUP, NOW, 1, 2, 1, 0, DONE),
            # What has ended was pruned.
            groups.Tally(GROUP, NOW, 1, 0, 0, 0, DONE),
        ],
    ),
    (
        groups.completed_out_of_turn,
        [
            groups.Tally(GROUP, NOW, 1, 2, 1, 0, DONE),
            groups.Tally(OVER, NOW, 0, 4, 0, 0, BEGUN),
            groups.Tally(GROUP, NOW, 1, 2, 1, 0, replace(BEGUN, created_at=NOW + HOUR)),
            groups.Tally(GROUP, NOW, 1, 2, 1, 0, None),
        ],
    ),
    (
        hooks.set_off_by_nothing,
        [
            hooks.SetOff(HOOK, BROKE),
            hooks.SetOff(replace(HOOK, id="by-hand"), replace(BROKE, state=SUCCEEDED)),
            hooks.SetOff(HOOK, replace(BROKE, state=RUNNING, created_at=NOW + HOUR)),
        ],
    ),
    (
        schedules.out_of_step,
        [
            SCHEDULE,
            replace(SCHEDULE, last_at=None, last_job_id=None),
            # Its clock was set back, and then its timing was changed.
            replace(SCHEDULE, read_at=TICK - HOUR, next_at=TICK - SECOND),
        ],
    ),
    (
        waits.awaits_in_vain,
        [
            AWAITING,
            # It was offered since, and comes back: it will look.
            replace(AWAITING, is_suspended=False, child=SUCCEEDED),
            replace(AWAITING, state=OFFERED, child=SUCCEEDED),
        ],
    ),
    (
        waits.received_otherwise,
        [
            waits.Received("job", ["e"], [ANSWERED, TOLD]),
            waits.Received("job", [], [replace(ANSWERED, epoch=0)]),
            waits.Received("job", ["e"], [replace(ANSWERED, epoch=0)]),
        ],
    ),
    (
        children.broken_by,
        [
            CHILD,
            replace(CHILD, steps=[WAIT], job=replace(CHILD.job, state=RUNNING)),
            # The parent was pruned, and its id taken again.
            replace(CHILD, parent=replace(JOB, created_at=NOW + HOUR), steps=[]),
        ],
    ),
    (pauses.begun_in_a_pause, [pauses.Begun("job", 1, NOW + SECOND, PAUSE)]),
]

BROKEN: list[tuple[Check, Any, str]] = [
    (chains.waits_in_vain, chains.Waiting("chain-1", "gone", None, None), "not there"),
    (
        chains.waits_in_vain,
        chains.Waiting("chain-1", "chain-0", replace(FIRST, state=SUCCEEDED), None),
        "which is succeeded",
    ),
    (
        chains.waits_in_vain,
        chains.Waiting("chain-1", "chain-0", replace(FIRST, follow_ups=None), None),
        "which is running",
    ),
    (chains.waits_in_vain, chains.Waiting("done", "group", None, OVER), "is over"),
    (chains.waits_in_vain, chains.Waiting("other", "group", None, GROUP), "by done"),
    (chains.started_out_of_turn, chains.Link(FIRST, STARTED), "before it is running"),
    (
        chains.started_out_of_turn,
        chains.Link(replace(FIRST, state=FAILED), STARTED),
        "before it is failed",
    ),
    (groups.miscounted, groups.Tally(GROUP, NOW, 2, 2, 1, 0), "2 are open"),
    (groups.miscounted, groups.Tally(GROUP, NOW, 0, 2, 1, 0), "0 are open"),
    (groups.miscounted, groups.Tally(GROUP, NOW, 1, 3, 1, 0), "have succeeded, it counts 2"),
    (groups.miscounted, groups.Tally(GROUP, NOW, 1, 2, 1, 1), "have cancelled, it counts 0"),
    (groups.completed_out_of_turn, groups.Tally(GROUP, NOW, 1, 2, 1, 0, BEGUN), "3 of 4"),
    (
        groups.completed_out_of_turn,
        groups.Tally(replace(OVER, succeeded=3, failed=1), NOW, 0, 3, 1, 0, BEGUN),
        "3 succeeded",
    ),
    (hooks.set_off_by_nothing, hooks.SetOff(HOOK, replace(BROKE, state=SUCCEEDED)), "is suc"),
    (hooks.set_off_by_nothing, hooks.SetOff(HOOK, replace(BROKE, follow_ups=None)), "is None"),
    (schedules.out_of_step, replace(SCHEDULE, last_job_id="another"), "it is another"),
    (schedules.out_of_step, replace(SCHEDULE, last_job_id=None), "it is None"),
    (schedules.out_of_step, replace(SCHEDULE, next_at=TICK), "the next is"),
    (waits.awaits_in_vain, replace(AWAITING, state=RUNNING), "1 of its steps wait"),
    (waits.awaits_in_vain, replace(AWAITING, steps=[]), "0 of its steps wait"),
    (waits.awaits_in_vain, replace(AWAITING, child=FAILED), "job child is failed"),
    (waits.awaits_in_vain, replace(AWAITING, child=None), "job child is not there"),
    (
        waits.awaits_in_vain,
        replace(AWAITING, topic=event_topic("paid", key="7"), child=None, missed="e"),
        "event e is there",
    ),
    (waits.received_otherwise, waits.Received("job", [], [ANSWERED]), "1 steps have met it, 0"),
    (waits.received_otherwise, waits.Received("job", ["e"], []), "0 steps have met it, 1"),
    (
        waits.received_otherwise,
        waits.Received("job", ["e"], [ANSWERED, replace(ANSWERED, step="again", epoch=0)]),
        "2 steps",
    ),
    (children.broken_by, replace(CHILD, steps=[]), "0 steps of job job"),
    (children.broken_by, replace(CHILD, steps=[TOLD, replace(TOLD, step="more")]), "2 steps"),
    (children.broken_by, replace(CHILD, depth=2), "2 deep"),
    (children.broken_by, replace(CHILD, job=replace(CHILD.job, state=FAILED)), "it is failed"),
    (
        children.broken_by,
        replace(CHILD, job=replace(CHILD.job, result="43")),
        "with another result",
    ),
    (
        children.broken_by,
        replace(
            CHILD,
            steps=[WAIT],
            job=replace(CHILD.job, state=RUNNING),
            parent=replace(JOB, state=CANCELLED),
        ),
        "job job was cancelled",
    ),
    (pauses.begun_in_a_pause, pauses.Begun("job", 1, NOW + HOUR, PAUSE), "paused by ada"),
]


@pytest.mark.parametrize(("check", "sound"), SOUND, ids=[case[0].__name__ for case in SOUND])
def test_what_is_as_it_must_be_breaks_nothing(check: Check, sound: list[Any]) -> None:
    assert [found for each in sound for found in check(each)] == []


@pytest.mark.parametrize(("check", "broken", "said"), BROKEN, ids=[case[2] for case in BROKEN])
def test_what_is_broken_is_found(check: Check, broken: object, said: str) -> None:
    (found,) = check(broken)

    assert said in found.found


def test_every_check_of_several_jobs_finds_something() -> None:
    assert {check for check, _ in SOUND} == {check for check, _, _ in BROKEN}


def test_the_job_of_a_tick_is_known_by_its_id_and_its_key() -> None:
    by_hand = replace(FIRED, job_id="by-hand")

    assert FIRED.tick == ("sweep", TICK)
    assert by_hand.tick is None
    assert replace(FIRED, key="schedule:sweep:soon").tick is None
    assert replace(FIRED, key="schedule:sweep:20261127T000000").tick is None
    assert not list(schedules.fired_wrongly(SCHEDULE, FIRED))
    assert not list(schedules.fired_wrongly(SCHEDULE, by_hand))
    assert not list(schedules.fired_wrongly(replace(SCHEDULE, name="other"), FIRED))


@pytest.mark.parametrize(
    ("schedule", "fired", "said"),
    [
        (SCHEDULE, replace(FIRED, name="other"), "it is a 'other'"),
        (SCHEDULE, replace(FIRED, created_at=TICK - SECOND), "it was recorded at"),
        (replace(SCHEDULE, last_at=None), FIRED, "the last of sweep is None"),
        (replace(SCHEDULE, last_at=TICK - HOUR), FIRED, "its tick is"),
    ],
)
def test_the_job_of_a_tick_fits_its_schedule(
    schedule: ScheduleRecord, fired: schedules.Fired, said: str
) -> None:
    (found,) = schedules.fired_wrongly(schedule, fired)

    assert said in found.found


@pytest.mark.parametrize(
    "changes", [{"paused": True}, {"declared_at": NOW - HOUR}, {"read_at": TICK}]
)
def test_a_schedule_that_no_process_fires_is_not_judged_by_its_times(changes: Any) -> None:
    schedule = replace(SCHEDULE, last_at=None, last_job_id=None, **changes)

    assert not list(schedules.fired_wrongly(schedule, FIRED))
    assert not list(schedules.out_of_step(schedule))


def test_who_looked_for_a_job_that_was_pruned_received_no_end() -> None:
    gone = {"job": "child", "state": "failed", "result": None}
    reported = json.dumps({**gone, "error": {"type": "JobNotFoundError", "message": "it is gone"}})

    met = waits.met_from("job", StepRecord("invoke", 0, StepKind.ANSWERED, reported, 2))

    assert (met.child_id, met.has_end) == ("child", False)


@pytest.mark.parametrize("result", ["", "[]", "null", "7"])
def test_a_record_that_no_step_could_have_made_is_refused(result: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)expect"):
        waits.met_from("job", StepRecord("wait", 0, StepKind.ANSWERED, result))
