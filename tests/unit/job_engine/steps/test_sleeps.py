"""Sleeps: the job gives its worker back."""

from datetime import UTC, datetime, timedelta

import pytest

from failsoft.job_engine import JobContext, JobState
from failsoft.job_engine.attempt.interrupts import HoldRequested
from tests.unit.support.attempts import AttemptRunner, Worker


def test_a_sleep_inside_a_step_holds_the_job() -> None:
    ctx = AttemptRunner().context()

    with pytest.raises(HoldRequested, match="do not nest"):
        ctx.run("outer", lambda: ctx.sleep("nap", timedelta(1)))


def test_a_sleep_that_became_a_step_holds_the_job() -> None:
    runner = AttemptRunner()
    runner.run(lambda ctx: ctx.sleep("pause", timedelta(1)))

    with pytest.raises(HoldRequested, match=r"run 'pause'.*recorded sleep 'pause'"):
        runner.context().run("pause", lambda: 1)


def test_a_sleep_gives_the_job_back_until_it_is_over() -> None:
    runner = AttemptRunner()

    state = runner.run(lambda ctx: ctx.sleep("nap", timedelta(hours=2)))

    assert state is JobState.SCHEDULED
    assert runner.job.run_at == runner.clock.now() + timedelta(hours=2)
    assert runner.clock.slept == []


def test_a_sleep_may_last_until_a_moment() -> None:
    runner, moment = AttemptRunner(), datetime(2030, 1, 1, tzinfo=UTC)

    runner.run(lambda ctx: ctx.sleep_until("new-year", moment))

    assert runner.job.run_at == moment


def test_a_job_goes_on_behind_a_sleep_that_is_over() -> None:
    runner, worker = AttemptRunner(), Worker()

    def body(ctx: JobContext) -> None:
        ctx.run("before", worker.work, "before")
        ctx.sleep("nap", timedelta(hours=2))
        ctx.run("after", worker.work, "after")

    states = [runner.run(body), runner.run(body)]

    assert states == [JobState.SCHEDULED, JobState.SUCCEEDED]
    assert worker.calls == [("before",), ("after",)]
    assert runner.job.errors == 0


def test_a_sleep_of_no_time_is_a_sleep() -> None:
    runner = AttemptRunner()

    assert runner.run(lambda ctx: ctx.sleep("nap", timedelta(0))) is JobState.SCHEDULED


def test_a_sleep_backwards_holds_the_job() -> None:
    with pytest.raises(HoldRequested, match="zero or more"):
        AttemptRunner().context().sleep("nap", timedelta(seconds=-1))


def test_a_sleep_until_a_moment_without_time_zone_holds_the_job() -> None:
    with pytest.raises(HoldRequested, match="time zone"):
        AttemptRunner().context().sleep_until("nap", datetime(2030, 1, 1))  # noqa: DTZ001
