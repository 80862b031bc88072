"""A job that catches too much ends all the same."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from failsoft.job_engine import JobContext, JobState
from failsoft.job_engine.attempt.interrupts import Fenced, Interrupt, Released, TimedOut
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import SUCCEED
from tests.unit.support.attempts import AttemptRunner, Body

Trouble = Callable[[AttemptRunner, JobContext], None]


def sleeps(runner: AttemptRunner, ctx: JobContext) -> None:
    ctx.sleep("nap", timedelta(hours=1))


def is_cancelled(runner: AttemptRunner, ctx: JobContext) -> None:
    runner.ledger.cancel(runner.job_id, "somebody")
    ctx.run("after the cancel", lambda: 1)


def breaks_the_rules(runner: AttemptRunner, ctx: JobContext) -> None:
    ctx.run("outer", lambda: ctx.run("inner", lambda: 1))


def is_fenced(runner: AttemptRunner, ctx: JobContext) -> None:
    runner.offer_again()
    ctx.run("after the hand-over", lambda: 1)


def is_released(runner: AttemptRunner, ctx: JobContext) -> None:
    runner.lease.revoke(Released)
    ctx.run("after the release", lambda: 1)


def is_timed_out(runner: AttemptRunner, ctx: JobContext) -> None:
    runner.lease.revoke(TimedOut)
    ctx.run("after the time", lambda: 1)


ENDS = {
    sleeps: JobState.SCHEDULED,
    is_cancelled: JobState.CANCELLED,
    breaks_the_rules: JobState.HELD,
    is_fenced: None,
    is_released: JobState.SCHEDULED,
    is_timed_out: JobState.SCHEDULED,
}


def swallows(runner: AttemptRunner, trouble: Trouble, kind: type[BaseException]) -> Body:
    def body(ctx: JobContext) -> str:
        with suppress(kind):
            trouble(runner, ctx)
        with suppress(kind):
            ctx.run("one step more", lambda: runner.events.append)
        return "done"

    return body


@pytest.mark.parametrize("kind", [Exception, BaseException])
@pytest.mark.parametrize("trouble", ENDS, ids=lambda trouble: trouble.__name__)
def test_an_interrupt_ends_the_attempt_whatever_the_job_catches(
    trouble: Trouble, kind: type[BaseException]
) -> None:
    runner = AttemptRunner()

    state = runner.run(swallows(runner, trouble, kind))

    assert state is ENDS[trouble]
    assert "one step more" not in runner.step_names


@pytest.mark.parametrize("trouble", ENDS, ids=lambda trouble: trouble.__name__)
def test_an_interrupt_ends_the_attempt_whatever_the_job_raises_instead(trouble: Trouble) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        try:
            trouble(runner, ctx)
        except BaseException as error:
            raise ValueError("something else") from error

    assert runner.run(body) is ENDS[trouble]


def test_every_call_after_an_interrupt_raises_it_again() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    runner.offer_again()
    with pytest.raises(Fenced) as first:
        ctx.run("a", lambda: 1)

    with pytest.raises(Fenced) as second:
        ctx.sleep("b", timedelta(1))

    assert second.value is first.value


def test_a_step_that_swallows_what_its_own_code_raised_wrongly_does_not_save_the_job() -> None:
    runner = AttemptRunner()

    def step(ctx: JobContext) -> str:
        with suppress(BaseException):
            ctx.run("inner", lambda: 1)
        return "swallowed"

    assert runner.run(lambda ctx: ctx.run("outer", lambda: step(ctx))) is JobState.HELD


def test_a_job_that_ended_before_it_could_notice_has_succeeded() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        runner.lease.revoke(Released, immediately=False)
        return "done"

    assert runner.run(body) is JobState.SUCCEEDED


def test_interrupts_are_no_exceptions() -> None:
    assert not issubclass(Interrupt, Exception)


def test_a_fenced_attempt_leaves_the_job_to_the_other_one() -> None:
    runner = AttemptRunner()
    state = runner.run(swallows(runner, is_fenced, BaseException))
    assert state is None

    other = runner.claim()

    assert runner.ledger.conclude(other, Conclusion(SUCCEED, result="1")) is JobState.SUCCEEDED
