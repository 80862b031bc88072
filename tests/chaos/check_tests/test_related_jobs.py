"""Each check of what several jobs have to do with each other finds what was doctored."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from failsoft.job_engine import GroupResult, JobFailure
from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.job_histories import ERROR, Story, evidence_of
from tests.chaos.check_tests.sound_history import SECOND, instant
from tests.chaos.history.evidence import Evidence
from tests.chaos.promises import children, failures, flow, keys, limits, ticks
from tests.chaos.promises.checks import OF_THE_RUN
from tests.chaos.workload.definitions import (
    by_the_minute,
    every_tick,
    hook,
    no_overlap,
    one_each,
    two_at_once,
)
from tests.chaos.workload.handlers import FAILED, INVOKED
from tests.chaos.workload.operations import UNIQUE
from tests.chaos.workload.script import Script

Check = Callable[[Evidence], Iterator[Violation]]
MODULES = {module.__name__ for module in (children, failures, flow, keys, limits, ticks)}
OF_FEATURES = [check for check in OF_THE_RUN if check.__module__ in MODULES]

CHILD = Script(label="its child")
ALL_OF_THEM = GroupResult(group_id="flow", total=2, succeeded=1, failed=1, cancelled=0)


def parent(met: str = "1", moment: float = 3.5) -> Story:
    return Story("parent", Script(label="parent", child=CHILD)).meets(INVOKED.name, met, moment)


def child(job_id: str = "child", script: Script = CHILD) -> Story:
    return Story(job_id, script, INVOKED.name).ends(JobState.SUCCEEDED, result="1")


def failed() -> Story:
    return Story("failed", Script(label="failed")).ends(JobState.FAILED, error=ERROR)


def hooked(job_id: str = "hooked", of: str = "failed", error: str = ERROR.type) -> Story:
    failure = JobFailure(
        job_id=of,
        name="chaos-in-thread",
        queue="chaos-threads",
        payload={},
        error_type=error,
        error_message="",
        attempts=3,
    )
    story = Story(job_id, Script(), hook.name).at(3, 4, 5)
    return story.ends(JobState.SUCCEEDED, payload=failure.model_dump_json())


def link(place: int, *, size: int = 2, **script: Any) -> Story:
    began = 2.0 + 2 * place
    doing = Script(label=f"flow-{place}", flow="flow", place=place, size=size)
    story = Story(f"flow-{place}", doing.model_copy(update=script)).at(1, began, began + 1)
    return story.begins(began).ends(JobState.SUCCEEDED, result="1")


def chain() -> list[Story]:
    return [link(0), link(1, before=1)]


def group(**completion: Any) -> list[Story]:
    given: dict[str, Any] = {"group": ALL_OF_THEM} | completion
    failed_member = link(1).ends(JobState.FAILED, result=None)
    return [link(0), failed_member, link(2, **given)]


def cancelled(story: Story, actor: str = "follow-up") -> Story:
    story.lines.clear()
    return story.never_begins(JobState.CANCELLED, "cancel", actor=actor)


def tick(seconds: int, name: str = every_tick.name, job_id: str = "") -> Story:
    moment = instant(seconds)
    script = Script(label="from the schedule")
    story = Story(job_id or f"tick-{seconds}", script, name).at(seconds, seconds + 1, seconds + 1.5)
    key = f"schedule:{name}:{moment.isoformat()}"
    return story.ends(JobState.SUCCEEDED, idempotency_key=key).begins(seconds + 1)


def until(seconds: int, name: str = every_tick.name) -> list[ScheduleRecord]:
    moment: datetime = instant(seconds)
    return [ScheduleRecord(name, "", moment, moment, moment)]


def of_key(number: int, created: float, ended: float, customer: str = "acme") -> Story:
    script = Script(label=f"{number}@{customer}", customer=customer)
    story = Story(f"unique-{number}", script, one_each.name).at(created, created + 0.1, ended)
    return story.requested(UNIQUE, created - 0.1, created + 0.1).begins(created + 0.2)


def limited(number: int, began: float, ended: float) -> Story:
    story = Story(f"limited-{number}", Script(label=str(number), customer="acme"), two_at_once.name)
    story.at(1, began - 0.1, ended + 0.1).begins(began)
    end = story.lines.pop()
    story.lines.append(replace(end, at=int(ended * SECOND)))
    return story


RIGHT = {
    "a child": [parent(), child()],
    "a child that failed": [parent(FAILED), child().ends(JobState.FAILED, result=None)],
    "a hook": [failed(), hooked()],
    "a chain": chain(),
    "a chain that broke": [
        link(0).ends(JobState.FAILED, result=None),
        cancelled(link(1)),
    ],
    "a group": group(),
    "a group that did not succeed": [
        *group()[:2],
        cancelled(link(2, when="all_succeeded")),
    ],
    "ticks": [tick(3), tick(6), tick(9)],
    "limited jobs": [limited(1, 2, 4), limited(2, 3, 5), limited(3, 4, 6)],
    "unique jobs": [of_key(1, 1, 3), of_key(2, 1, 9, "borg"), of_key(3, 3.1, 4)],
}


@pytest.mark.parametrize("check", OF_FEATURES)
@pytest.mark.parametrize("stories", RIGHT.values(), ids=RIGHT)
def test_what_is_right_passes(check: Check, stories: list[Story]) -> None:
    hooks = {story.row.name for story in stories} >= {hook.name}
    if check is failures.one_hook_each and not hooks:
        stories = [story for story in stories if story.row.state is not JobState.FAILED]
    assert not list(check(evidence_of(*stories)))


WRONG: list[tuple[Check, str, list[Story]]] = [
    (children.one_child_each, "a child of nobody", [child()]),
    (children.one_child_each, "two children", [parent(), child(), child("another")]),
    (children.one_child_each, "a result of no child", [parent()]),
    (children.told_as_it_ended, "told too early", [parent(moment=2.9), child()]),
    (children.told_as_it_ended, "told another end", [parent("7"), child()]),
    (failures.one_hook_each, "a failure without", [failed()]),
    (failures.one_hook_each, "a failure with two", [failed(), hooked(), hooked("another")]),
    (failures.one_hook_each, "a success with one", [link(0), hooked(of="flow-0")]),
    (failures.one_hook_each, "a hook of nobody", [hooked()]),
    (failures.told_what_failed, "too early", [failed(), hooked().begins(2.9)]),
    (failures.told_what_failed, "another error", [failed(), hooked(error="KeyError")]),
    (flow.all_or_none, "a link is missing", [link(1)]),
    (flow.all_or_none, "the completion is missing", [link(0, size=3), link(1, size=3)]),
    (flow.chains_go_on, "too early", [link(0), link(1, before=1).begins(2.5)]),
    (flow.chains_go_on, "another result", [link(0), link(1, before=2)]),
    (flow.chains_go_on, "cancelled after a success", [link(0), cancelled(link(1))]),
    (
        flow.chains_go_on,
        "went on after a failure",
        [link(0).ends(JobState.FAILED, result=None), link(1)],
    ),
    (flow.groups_complete, "too early", [*group()[:2], group()[2].begins(4.5)]),
    (flow.groups_complete, "wrong numbers", group(group=None)),
    (flow.groups_complete, "did not start", [*group()[:2], cancelled(link(2))]),
    (flow.groups_complete, "started all the same", group(when="all_succeeded")),
    (ticks.one_job_each, "two of one tick", [tick(3), tick(3, job_id="another")]),
    (ticks.one_job_each, "no tick of the schedule", [tick(4)]),
    (ticks.one_job_each, "before its tick", [tick(3).begins(2.9)]),
    (ticks.none_missing, "between two", [tick(3), tick(9)]),
    (
        ticks.no_overlap,
        "beside the one before",
        [tick(2, no_overlap.name).at(2, 3, 6), tick(4, no_overlap.name)],
    ),
    (keys.one_at_a_time, "two of a key", [of_key(1, 1, 3), of_key(2, 2.5, 4)]),
    (
        keys.none_beside_another,
        "a body beside the next",
        [of_key(1, 1, 5).begins(3.9), of_key(2, 3, 6)],
    ),
    (
        limits.no_more_at_once,
        "three at once",
        [limited(1, 2, 4), limited(2, 3, 5), limited(3, 3.5, 6)],
    ),
    (
        keys.stands_in_for_its_like,
        "another customer's",
        [of_key(1, 1, 3).requested(UNIQUE, 2, 2.1, label="2@borg", answer={"created": False})],
    ),
]


@pytest.mark.parametrize(
    ("check", "stories"),
    [
        pytest.param(check, stories, id=f"{check.__name__}: {evidence_of}")
        for check, evidence_of, stories in WRONG
    ],
)
def test_what_is_wrong_is_found(check: Check, stories: list[Story]) -> None:
    assert list(check(evidence_of(*stories)))


@pytest.mark.parametrize(("until_tick", "found"), [(9, False), (12, True)])
def test_ticks_are_missed_up_to_the_one_that_is_next(until_tick: int, *, found: bool) -> None:
    evidence = evidence_of(tick(3), tick(6), schedules=until(until_tick))

    assert bool(list(ticks.none_missing(evidence))) is found


@pytest.mark.parametrize(("ended", "found"), [(4.5, False), (3.5, True)])
def test_a_tick_is_left_out_while_the_job_before_has_not_ended(
    ended: float, *, found: bool
) -> None:
    stories = [tick(2, no_overlap.name).at(2, 3, ended), tick(6, no_overlap.name)]

    assert bool(list(ticks.none_missing(evidence_of(*stories)))) is found


@pytest.mark.parametrize(("found_after", "found"), [(59, True), (61, False)])
def test_a_tick_that_was_found_too_late_may_be_left_out(found_after: int, *, found: bool) -> None:
    name, late = by_the_minute.name, 120 + found_after
    stories = [tick(60, name), tick(180, name).at(late, late + 1, late + 2)]

    assert bool(list(ticks.none_missing(evidence_of(*stories)))) is found


def test_a_body_that_runs_late_beside_the_next_of_its_key_has_no_authority() -> None:
    evidence = evidence_of(of_key(1, 1, 3).begins(3.5), of_key(2, 3.1, 4))

    assert not list(keys.none_beside_another(evidence))


def test_a_body_that_lost_its_authority_is_not_counted() -> None:
    lost = limited(1, 2, 9).at(1, 1.9, 3.0)

    assert not list(
        limits.no_more_at_once(evidence_of(lost, limited(2, 3.2, 5), limited(3, 3.5, 6)))
    )
