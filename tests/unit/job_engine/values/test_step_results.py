"""What a step returns is the same on its first run and when the job resumes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.job_engine import JobContext, JobState
from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.errors import ResultInvalidError
from tests.unit.support.attempts import AttemptRunner

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Profile(BaseModel):
    name: str
    since: datetime


@dataclass
class Point:
    x: int
    y: int


def a_profile() -> Profile:
    return Profile(name="ada", since=NEW_YEAR)


def a_point() -> Point:
    return Point(1, 2)


def a_moment() -> datetime:
    return NEW_YEAR


def profiles() -> list[Profile]:
    return [a_profile()]


def nothing() -> None:
    return None


def a_pair() -> tuple[int, str]:
    return 1, "one"


@pytest.mark.parametrize("fn", [a_profile, a_point, a_moment, profiles, nothing, a_pair])
def test_an_annotated_step_gives_its_type_on_every_attempt(fn: Any) -> None:
    runner = AttemptRunner()

    first = runner.context().run("step", fn)
    again = runner.context().run("step", fn)

    assert first == again == fn()
    assert type(first) is type(again) is type(fn())


def test_a_step_without_annotation_gives_plain_json_on_every_attempt() -> None:
    runner = AttemptRunner()

    first = runner.context().run("step", lambda: {"at": NEW_YEAR.isoformat(), "pair": [1, 2]})

    assert first == {"at": "2026-01-01T00:00:00+00:00", "pair": [1, 2]}
    assert runner.context().run("step", lambda: None) == first


@pytest.mark.parametrize(
    "value", [NEW_YEAR, (1, 2), {"at": a_point()}, {3: "three"}, ({(1, 2): "pair"},)]
)
def test_a_value_that_json_changes_holds_the_job_before_it_is_recorded(value: Any) -> None:
    runner = AttemptRunner()

    with pytest.raises(HoldRequested, match=r"step 'step': .* annotate what is returned"):
        runner.context().run("step", lambda: value)

    assert runner.context().run("step", lambda: "another") == "another"


def by_number() -> dict[int, str]:
    return {3: "three"}


def test_keys_that_are_no_text_stay_what_they_are_where_they_are_declared() -> None:
    assert AttemptRunner().context().run("step", by_number) == {3: "three"}


def test_a_method_of_an_object_is_a_step_like_any_other() -> None:
    class Client:
        def fetch(self, name: str) -> Profile:
            return Profile(name=name, since=NEW_YEAR)

    profile = AttemptRunner().context().run("fetch", Client().fetch, "ada")

    assert profile.since == NEW_YEAR


def test_a_step_that_changes_its_argument_later_changes_no_result() -> None:
    runner, words = AttemptRunner(), ["a"]
    ctx = runner.context()

    result = ctx.run("step", lambda: words)
    words.append("b")

    assert result == ["a"]


@pytest.mark.parametrize("value", [object(), {1, object()}, "\ud800", lambda: None])
def test_a_result_that_json_cannot_carry_holds_the_job(value: Any) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        ctx.run("step", lambda: value)

    assert runner.run(body) is JobState.HELD
    assert runner.job.error is not None
    assert runner.job.error.type.endswith("ResultInvalidError")
    assert "step 'step'" in runner.job.error.message


def test_a_result_that_is_too_large_holds_the_job() -> None:
    runner = AttemptRunner()

    assert runner.run(lambda ctx: ctx.run("step", lambda: "x" * 300_000)) is JobState.HELD


def test_a_result_that_belies_its_annotation_holds_the_job() -> None:
    def lies() -> int:
        return "seven"  # type: ignore[return-value]

    with pytest.raises(HoldRequested, match="step 'step'"):
        AttemptRunner().context().run("step", lies)


def test_a_recorded_result_that_no_longer_fits_holds_the_job() -> None:
    runner = AttemptRunner()
    runner.context().run("step", lambda: "seven")

    def newer() -> int:
        return 7

    with pytest.raises(HoldRequested, match="does not fit the return annotation"):
        runner.context().run("step", newer)


def test_an_annotation_that_cannot_be_stored_holds_the_job_before_the_step_runs() -> None:
    class Opaque:
        pass

    calls = []

    def step() -> Opaque:
        calls.append(1)
        return Opaque()

    runner = AttemptRunner()

    assert runner.run(lambda ctx: ctx.run("step", step)) is JobState.HELD
    assert calls == []


def test_the_result_of_a_job_is_recorded_in_its_declared_type() -> None:
    runner = AttemptRunner()

    state = runner.run(lambda ctx: {"sent": True})

    assert (state, runner.job.result) == (JobState.SUCCEEDED, '{"sent":true}')


@pytest.mark.parametrize("value", [object(), float("nan"), (1, 2), "x" * 300_000])
def test_a_result_of_a_job_that_json_cannot_carry_holds_it(value: Any) -> None:
    runner = AttemptRunner()

    state = runner.run(lambda ctx: value)

    assert state is JobState.HELD
    assert runner.job.error is not None
    assert runner.job.error.type.endswith(ResultInvalidError.__name__)
