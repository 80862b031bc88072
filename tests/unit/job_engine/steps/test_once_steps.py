"""`once` steps: never begun twice; in doubt a person decides, or `verify` finds out."""

from asyncio import CancelledError

import pytest

from failsoft.job_engine import NOT_DONE, AsyncJobContext, JobContext, JobState
from failsoft.job_engine.attempt.interrupts import Fenced, HoldRequested, Interrupt
from failsoft.job_engine.records.job import StepKind
from tests.unit.support.async_attempts import AsyncAttemptRunner
from tests.unit.support.attempts import AttemptRunner, Worker


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


def cut_off(runner: AttemptRunner, name: str = "pay") -> None:
    """Let an attempt die in a `once` step."""
    with pytest.raises(ProcessDiedError):
        runner.context().run(name, dies, once=True)


def kinds(runner: AttemptRunner) -> list[StepKind]:
    return [step.kind for step in runner.ledger.steps(runner.job_id)]


def test_it_is_recorded_before_it_begins_and_again_when_it_is_done() -> None:
    runner = AttemptRunner()
    seen: list[list[StepKind]] = []

    result = runner.context().run("pay", lambda: seen.append(kinds(runner)) or "paid", once=True)

    assert (result, seen, kinds(runner)) == ("paid", [[StepKind.INTENT]], [StepKind.ONCE])


def test_once_finished_it_is_a_step_like_any_other() -> None:
    runner, worker = AttemptRunner(), Worker()
    runner.context().run("pay", worker.work, 1, once=True)

    again = runner.context().run("pay", worker.work, 2, once=True)

    assert (again, len(worker.calls)) == ({"args": [1], "call": 1}, 1)


def test_one_that_was_cut_off_is_not_begun_again() -> None:
    runner, worker = AttemptRunner(), Worker()
    cut_off(runner)

    with pytest.raises(HoldRequested, match="may have taken effect"):
        runner.context().run("pay", worker.work, once=True)

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
        runner = AsyncAttemptRunner()
        state = runner.go(body)
    else:
        runner = AttemptRunner(lambda ctx: ctx.run("pay", raises, once=True))
        state = runner.run()

    assert state is JobState.HELD
    assert runner.job.error is not None
    assert "may have taken effect" in runner.job.error.message


def test_what_it_raised_counts_as_done() -> None:
    def body(ctx: JobContext) -> str:
        return ctx.run("pay", fails, once=True)

    runner = AttemptRunner(body)

    assert runner.run() is JobState.HELD
    error = runner.job.error
    assert error is not None
    assert "raised ConnectionError and may have taken effect" in error.message
    assert "the answer was lost" in error.traceback


def test_an_except_in_the_job_does_not_swallow_the_doubt() -> None:
    def body(ctx: JobContext) -> str:
        try:
            return ctx.run("pay", fails, once=True)
        except Exception:  # noqa: BLE001 - as careless jobs do
            return "never mind"

    assert AttemptRunner(body).run() is JobState.HELD


def test_verify_is_not_called_before_anything_began() -> None:
    runner, verified = AttemptRunner(), Worker()

    assert runner.context().run("pay", lambda: "paid", once=True, verify=verified.work) == "paid"
    assert verified.calls == []


def test_what_verify_finds_is_the_result() -> None:
    runner, worker = AttemptRunner(), Worker()
    cut_off(runner)

    found = runner.context().run("pay", worker.work, 7, once=True, verify=lambda n: f"paid {n}")

    assert (found, worker.calls, kinds(runner)) == ("paid 7", [], [StepKind.ONCE])
    assert runner.context().run("pay", worker.work, 7, once=True) == "paid 7"


def test_a_step_that_verify_has_not_found_is_run() -> None:
    runner, worker = AttemptRunner(), Worker()
    cut_off(runner)

    runner.context().run("pay", worker.work, 7, once=True, verify=lambda n: NOT_DONE)

    assert (worker.calls, kinds(runner)) == ([(7,)], [StepKind.ONCE])


def test_with_verify_an_error_is_the_jobs_to_retry() -> None:
    runner = AttemptRunner()
    with pytest.raises(ConnectionError):
        runner.context().run("pay", fails, once=True, verify=lambda: NOT_DONE)

    assert runner.context().run("pay", lambda: "paid", once=True, verify=lambda: NOT_DONE) == "paid"


def test_an_error_of_verify_leaves_the_doubt() -> None:
    runner = AttemptRunner()
    cut_off(runner)

    with pytest.raises(ConnectionError):
        runner.context().run("pay", lambda: "paid", once=True, verify=fails)

    assert kinds(runner) == [StepKind.INTENT]


def test_code_that_no_longer_says_once_may_run_the_step_again() -> None:
    runner = AttemptRunner()
    cut_off(runner)

    assert runner.context().run("pay", lambda: "paid") == "paid"
    assert kinds(runner) == [StepKind.ONCE]
    assert runner.context().run("pay", lambda: "unused") == "paid"


def test_a_fenced_attempt_does_not_begin_it() -> None:
    runner, worker = AttemptRunner(), Worker()
    ctx = runner.context()
    runner.offer_again()

    with pytest.raises(Fenced):
        ctx.run("pay", worker.work, once=True)

    assert (worker.calls, kinds(runner)) == ([], [])
