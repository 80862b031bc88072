"""What interrupts an `async def` job: its steps' timeouts, its worker, a cancel, a fence."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import (
    AsyncJobContext,
    JobState,
    StepTimeoutError,
)
from failsoft.job_engine.attempt.interrupts import Fenced, Interrupt, Released, TimedOut
from tests.unit.support.async_attempts import SHORT, AsyncAttemptRunner, double


async def dawdles() -> None:
    await asyncio.sleep(10)


async def swallows() -> str:
    with suppress(BaseException):
        await asyncio.sleep(10)
    return "as if nothing was"


async def blocks() -> None:
    time.sleep(0.1)  # noqa: ASYNC251 - what one should not do


def dawdles_in_a_thread() -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        time.sleep(0.005)


@pytest.mark.parametrize("work", [dawdles, swallows, blocks, dawdles_in_a_thread])
def test_a_step_that_takes_too_long_raises(work: Callable[[], Any]) -> None:
    runner, late = AsyncAttemptRunner(), []

    async def body(ctx: AsyncJobContext) -> None:
        try:
            await ctx.run("slow", work, timeout=SHORT)
        except StepTimeoutError as error:
            late.append(str(error))
        await ctx.run("after", double, 1)

    assert runner.go(body) is JobState.SUCCEEDED
    assert late == ["step 'slow' took longer than its timeout of 0:00:00.030000"]
    assert runner.step_names == ["after"]


def test_a_timeout_error_of_the_steps_own_is_no_step_timeout() -> None:
    async def gives_up() -> None:
        raise TimeoutError("the server's")

    async def body(ctx: AsyncJobContext) -> str:
        try:
            await ctx.run("ask", gives_up, timeout=timedelta(minutes=1))
        except TimeoutError as error:
            return str(error)
        return ""

    runner = AsyncAttemptRunner()
    runner.go(body)

    assert runner.job.result == '"the server\'s"'


@pytest.mark.parametrize("kind", [Exception, BaseException])
@pytest.mark.parametrize(
    ("interrupt", "expected"),
    [(TimedOut, JobState.SCHEDULED), (Released, JobState.SCHEDULED), (Fenced, None)],
)
@pytest.mark.parametrize("work", [dawdles, dawdles_in_a_thread, None])
def test_an_interrupt_ends_the_attempt_whatever_it_does(
    work: Callable[[], Any] | None,
    interrupt: type[Interrupt],
    expected: JobState | None,
    kind: type[BaseException],
) -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> str:
        timer = threading.Timer(0.02, runner.lease.revoke, (interrupt,))
        timer.start()
        with suppress(kind):
            if work is None:
                await asyncio.sleep(10)
            else:
                await ctx.run("long", work)
        await ctx.run("one step more", double, 1)
        return "done"

    assert runner.go(body) is expected
    assert runner.step_names == []


def test_code_that_blocks_its_loop_is_interrupted_like_a_thread() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        threading.Timer(0.02, runner.lease.revoke, (TimedOut,)).start()
        dawdles_in_a_thread()

    started = time.monotonic()

    assert runner.go(body) is JobState.SCHEDULED
    assert time.monotonic() - started < 5


def test_a_cancel_request_is_honoured_at_the_next_step() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        runner.ledger.cancel(runner.job_id, "me")
        await ctx.run("after", double, 1)

    assert runner.go(body) is JobState.CANCELLED


def test_what_a_job_cancels_itself_is_no_interrupt() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        raise asyncio.CancelledError

    assert runner.go(body) is JobState.SCHEDULED
    assert runner.job.error is not None
    assert "CancelledError" in runner.job.error.message


def test_a_fence_is_noticed_at_the_next_step() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        runner.offer_again()
        await ctx.run("a", double, 1)

    assert runner.go(body) is None
