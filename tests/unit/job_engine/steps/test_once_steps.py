"""`once` steps: never begun twice; in doubt a person decides, or `verify` finds out."""

from asyncio import CancelledError

import pytest

from failsoft.job_engine import NOT_DONE, AsyncJobContext, JobContext, JobState
from failsoft.job_engine.attempt.interrupts import Fenced, HoldRequested, Interrupt
from failsoft.job_engine.records.job import StepKind
from tests.unit.support.async_attempts import AsyncStage
from tests.unit.support.attempts import Stage, Worker


class ProcessDiedError(Interrupt):
    """Stands for the end of the process: nothing after it is recorded."""


BASE_EXCEPTIONS = [
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    CancelledError,
    StopIteration,
    StopAsyncIteration,
]


def dies(*args: object) -> None:
    raise ProcessDiedError


def fails() -> str:
    raise ConnectionError("the answer was lost")


def cut_off(stage: Stage, name: str = "pay") -> None:
    """Let an attempt die in a `once` step."""
    with pytest.raises(ProcessDiedError):
        stage.context().run(name, dies, once=True)


def kinds(stage: Stage) -> list[StepKind]:
    return [step.kind for step in stage.ledger.steps(stage.job_id)]


def test_it_is_recorded_before_it_begins_and_again_when_it_is_done() -> None:
    stage = Stage()
    seen: list[list[StepKind]] = []

    result = stage.context().run("pay", lambda: seen.append(kinds(stage)) or "paid", once=True)

    assert (result, seen, kinds(stage)) == ("paid", [[StepKind.INTENT]], [StepKind.ONCE])


def test_once_finished_it_is_a_step_like_any_other() -> None:
    stage, worker = Stage(), Worker()
    stage.context().run("pay", worker.work, 1, once=True)

    again = stage.context().run("pay", worker.work, 2, once=True)

    assert (again, len(worker.calls)) == ({"args": [1], "call": 1}, 1)


def test_one_that_was_cut_off_is_not_begun_again() -> None:
    stage, worker = Stage(), Worker()
    cut_off(stage)

    with pytest.raises(HoldRequested, match="may have taken effect"):
        stage.context().run("pay", worker.work, once=True)

    assert worker.calls == []


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", [*BASE_EXCEPTIONS, ValueError])
def test_whatever_it_raises_it_may_have_taken_effect(
    error: type[BaseException], *, asynchronous: bool
) -> None:
    def raises() -> None:
        raise error

    async def body(ctx: AsyncJobContext) -> None:
        await ctx.run("pay", raises, once=True)

    if asynchronous:
        stage = AsyncStage()
        state = stage.go(body)
    else:
        stage = Stage(lambda ctx: ctx.run("pay", raises, once=True))
        state = stage.run()

    assert state is JobState.HELD
    assert stage.job.error is not None
    assert "may have taken effect" in stage.job.error.message


def test_what_it_raised_counts_as_done() -> None:
    def body(ctx: JobContext) -> str:
        return ctx.run("pay", fails, once=True)

    stage = Stage(body)

    assert stage.run() is JobState.HELD
    error = stage.job.error
    assert error is not None
    assert "raised ConnectionError and may have taken effect" in error.message
    assert "the answer was lost" in error.traceback


def test_an_except_in_the_job_does_not_swallow_the_doubt() -> None:
    def body(ctx: JobContext) -> str:
        try:
            return ctx.run("pay", fails, once=True)
        except Exception:  # noqa: BLE001 - as careless jobs do
            return "never mind"

    assert Stage(body).run() is JobState.HELD


def test_verify_is_not_asked_before_anything_began() -> None:
    stage, asked = Stage(), Worker()

    assert stage.context().run("pay", lambda: "paid", once=True, verify=asked.work) == "paid"
    assert asked.calls == []


def test_what_verify_finds_is_the_result() -> None:
    stage, worker = Stage(), Worker()
    cut_off(stage)

    found = stage.context().run("pay", worker.work, 7, once=True, verify=lambda n: f"paid {n}")

    assert (found, worker.calls, kinds(stage)) == ("paid 7", [], [StepKind.ONCE])
    assert stage.context().run("pay", worker.work, 7, once=True) == "paid 7"


def test_a_step_that_verify_has_not_found_is_run() -> None:
    stage, worker = Stage(), Worker()
    cut_off(stage)

    stage.context().run("pay", worker.work, 7, once=True, verify=lambda n: NOT_DONE)

    assert (worker.calls, kinds(stage)) == ([(7,)], [StepKind.ONCE])


def test_with_verify_an_error_is_the_jobs_to_retry() -> None:
    stage = Stage()
    with pytest.raises(ConnectionError):
        stage.context().run("pay", fails, once=True, verify=lambda: NOT_DONE)

    assert stage.context().run("pay", lambda: "paid", once=True, verify=lambda: NOT_DONE) == "paid"


def test_an_error_of_verify_leaves_the_doubt() -> None:
    stage = Stage()
    cut_off(stage)

    with pytest.raises(ConnectionError):
        stage.context().run("pay", lambda: "paid", once=True, verify=fails)

    assert kinds(stage) == [StepKind.INTENT]


def test_code_that_no_longer_says_once_may_run_the_step_again() -> None:
    stage = Stage()
    cut_off(stage)

    assert stage.context().run("pay", lambda: "paid") == "paid"
    assert kinds(stage) == [StepKind.ONCE]
    assert stage.context().run("pay", lambda: "unused") == "paid"


def test_a_fenced_attempt_does_not_begin_it() -> None:
    stage, worker = Stage(), Worker()
    ctx = stage.context()
    stage.offer_again()

    with pytest.raises(Fenced):
        ctx.run("pay", worker.work, once=True)

    assert (worker.calls, kinds(stage)) == ([], [])
