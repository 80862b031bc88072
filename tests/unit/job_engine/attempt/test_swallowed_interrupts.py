"""A job that catches too much ends all the same."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from failsoft.job_engine.attempt.interrupts import Fenced, Interrupt, Released, TimedOut
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import SUCCEED, JobState
from failsoft.job_engine.steps.context import JobContext
from tests.unit.support.attempts import Body, Stage

Trouble = Callable[[Stage, JobContext], None]


def sleeps(stage: Stage, ctx: JobContext) -> None:
    ctx.sleep("nap", timedelta(hours=1))


def is_cancelled(stage: Stage, ctx: JobContext) -> None:
    stage.ledger.cancel(stage.job_id, "somebody")
    ctx.run("after the cancel", lambda: 1)


def breaks_the_rules(stage: Stage, ctx: JobContext) -> None:
    ctx.run("outer", lambda: ctx.run("inner", lambda: 1))


def is_fenced(stage: Stage, ctx: JobContext) -> None:
    stage.offer_again()
    ctx.run("after the hand-over", lambda: 1)


def is_released(stage: Stage, ctx: JobContext) -> None:
    stage.lease.revoke(Released)
    ctx.run("after the release", lambda: 1)


def is_timed_out(stage: Stage, ctx: JobContext) -> None:
    stage.lease.revoke(TimedOut)
    ctx.run("after the time", lambda: 1)


ENDS = {
    sleeps: JobState.SCHEDULED,
    is_cancelled: JobState.CANCELLED,
    breaks_the_rules: JobState.HELD,
    is_fenced: None,
    is_released: JobState.SCHEDULED,
    is_timed_out: JobState.SCHEDULED,
}


def swallows(stage: Stage, trouble: Trouble, kind: type[BaseException]) -> Body:
    def body(ctx: JobContext) -> str:
        with suppress(kind):
            trouble(stage, ctx)
        with suppress(kind):
            ctx.run("one step more", lambda: stage.heard.append)
        return "done"

    return body


@pytest.mark.parametrize("kind", [Exception, BaseException])
@pytest.mark.parametrize("trouble", ENDS, ids=lambda trouble: trouble.__name__)
def test_an_interrupt_ends_the_attempt_whatever_the_job_catches(
    trouble: Trouble, kind: type[BaseException]
) -> None:
    stage = Stage()

    state = stage.run(swallows(stage, trouble, kind))

    assert state is ENDS[trouble]
    assert "one step more" not in stage.step_names


@pytest.mark.parametrize("trouble", ENDS, ids=lambda trouble: trouble.__name__)
def test_an_interrupt_ends_the_attempt_whatever_the_job_raises_instead(trouble: Trouble) -> None:
    stage = Stage()

    def body(ctx: JobContext) -> None:
        try:
            trouble(stage, ctx)
        except BaseException as error:
            raise ValueError("something else") from error

    assert stage.run(body) is ENDS[trouble]


def test_every_call_after_an_interrupt_raises_it_again() -> None:
    stage = Stage()
    ctx = stage.context()
    stage.offer_again()
    with pytest.raises(Fenced) as first:
        ctx.run("a", lambda: 1)

    with pytest.raises(Fenced) as second:
        ctx.sleep("b", timedelta(1))

    assert second.value is first.value


def test_a_step_that_swallows_what_its_own_code_raised_wrongly_does_not_save_the_job() -> None:
    stage = Stage()

    def step(ctx: JobContext) -> str:
        with suppress(BaseException):
            ctx.run("inner", lambda: 1)
        return "swallowed"

    assert stage.run(lambda ctx: ctx.run("outer", lambda: step(ctx))) is JobState.HELD


def test_a_job_that_ended_before_it_could_notice_has_succeeded() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> str:
        stage.lease.revoke(Released, immediately=False)
        return "done"

    assert stage.run(body) is JobState.SUCCEEDED


def test_interrupts_are_no_exceptions() -> None:
    assert not issubclass(Interrupt, Exception)


def test_a_fenced_attempt_leaves_the_job_to_the_other_one() -> None:
    stage = Stage()
    state = stage.run(swallows(stage, is_fenced, BaseException))
    assert state is None

    other = stage.claim()

    assert stage.ledger.conclude(other, Conclusion(SUCCEED, result="1")) is JobState.SUCCEEDED
