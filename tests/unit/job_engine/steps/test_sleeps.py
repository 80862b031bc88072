"""Sleeps: the job gives its worker back."""

from datetime import UTC, datetime, timedelta

import pytest

from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.steps.context import JobContext
from tests.unit.support.attempts import Stage, Worker


def test_a_sleep_inside_a_step_holds_the_job() -> None:
    ctx = Stage().context()

    with pytest.raises(HoldRequested, match="do not nest"):
        ctx.run("outer", lambda: ctx.sleep("nap", timedelta(1)))


def test_a_sleep_that_became_a_step_holds_the_job() -> None:
    stage = Stage()
    stage.run(lambda ctx: ctx.sleep("pause", timedelta(1)))

    with pytest.raises(HoldRequested, match=r"run 'pause'.*recorded sleep 'pause'"):
        stage.context().run("pause", lambda: 1)


def test_a_sleep_gives_the_job_back_until_it_is_over() -> None:
    stage = Stage()

    state = stage.run(lambda ctx: ctx.sleep("nap", timedelta(hours=2)))

    assert state is JobState.SCHEDULED
    assert stage.job.run_at == stage.clock.now() + timedelta(hours=2)
    assert stage.clock.slept == []


def test_a_sleep_may_last_until_a_moment() -> None:
    stage, moment = Stage(), datetime(2030, 1, 1, tzinfo=UTC)

    stage.run(lambda ctx: ctx.sleep_until("new-year", moment))

    assert stage.job.run_at == moment


def test_a_job_goes_on_behind_a_sleep_that_is_over() -> None:
    stage, worker = Stage(), Worker()

    def body(ctx: JobContext) -> None:
        ctx.run("before", worker.work, "before")
        ctx.sleep("nap", timedelta(hours=2))
        ctx.run("after", worker.work, "after")

    states = [stage.run(body), stage.run(body)]

    assert states == [JobState.SCHEDULED, JobState.SUCCEEDED]
    assert worker.calls == [("before",), ("after",)]
    assert stage.job.errors == 0


def test_a_sleep_of_no_time_is_a_sleep() -> None:
    stage = Stage()

    assert stage.run(lambda ctx: ctx.sleep("nap", timedelta(0))) is JobState.SCHEDULED


def test_a_sleep_backwards_holds_the_job() -> None:
    with pytest.raises(HoldRequested, match="zero or more"):
        Stage().context().sleep("nap", timedelta(seconds=-1))


def test_a_sleep_until_a_moment_without_time_zone_holds_the_job() -> None:
    with pytest.raises(HoldRequested, match="time zone"):
        Stage().context().sleep_until("nap", datetime(2030, 1, 1))  # noqa: DTZ001
