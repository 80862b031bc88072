"""Whatever an async job raises or leaves behind, its attempt ends, and is recorded at once."""

import asyncio
import threading
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from failsoft.job_engine import AsyncJobContext, JobState
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.support.async_attempts import AsyncAttemptRunner

RAISED: list[type[BaseException]] = [
    StopIteration,
    StopAsyncIteration,
    CancelledError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    ValueError,
]


def fails(error: type[BaseException]) -> None:
    raise error


async def fails_awaited(error: type[BaseException]) -> None:
    raise error


async def in_a_step(ctx: AsyncJobContext, error: type[BaseException]) -> None:
    await ctx.run("s", fails, error)


async def in_an_awaited_step(ctx: AsyncJobContext, error: type[BaseException]) -> None:
    await ctx.run("s", fails_awaited, error)


async def in_a_branch(ctx: AsyncJobContext, error: type[BaseException]) -> None:
    await ctx.parallel(ctx.branch("s", fails, error), ctx.branch("t", len, "x"))


async def in_a_tx_step(ctx: AsyncJobContext, error: type[BaseException]) -> None:
    await ctx.run("s", lambda connection: fails(error), tx=True)


async def in_the_job(ctx: AsyncJobContext, error: type[BaseException]) -> None:
    raise error


async def in_a_verify(ctx: AsyncJobContext, error: type[BaseException]) -> None:
    with suppress(BaseException):
        await ctx.run("s", fails, ValueError, once=True, verify=lambda error: 1)
    await ctx.run("s", fails, error, once=True, verify=fails)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize(
    "place",
    [in_a_step, in_an_awaited_step, in_a_branch, in_a_tx_step, in_the_job, in_a_verify],
)
def test_an_attempt_ends_whatever_is_raised_wherever(
    place: Callable[[AsyncJobContext, type[BaseException]], Awaitable[None]],
    error: type[BaseException],
) -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        await place(ctx, error)

    assert runner.go(body) in (JobState.SCHEDULED, JobState.FAILED, JobState.HELD)


def closers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "failsoft-close-loop"]


@pytest.mark.timeout(60)
def test_a_task_that_cannot_be_cancelled_delays_no_end(caplog: pytest.LogCaptureFixture) -> None:
    let_go = threading.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            with suppress(CancelledError):
                await asyncio.sleep(0.01)

    async def body(ctx: AsyncJobContext) -> None:
        asyncio.get_running_loop().kept = asyncio.create_task(stubborn())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    runner = AsyncAttemptRunner()
    try:
        assert runner.go(body) is JobState.SUCCEEDED
        assert runner.job.state is JobState.SUCCEEDED
        assert "left tasks or threads behind" in caplog.text
        assert closers()
    finally:
        let_go.set()
    wait_until(lambda: not closers(), PATIENCE, "the loop is closed once its task has ended")


@pytest.mark.timeout(60)
def test_threads_that_the_job_keeps_busy_delay_neither_its_steps_nor_its_end() -> None:
    let_go = threading.Event()

    async def body(ctx: AsyncJobContext) -> int:
        loop = asyncio.get_running_loop()
        loop.kept = [loop.run_in_executor(None, let_go.wait) for _ in range(64)]  # type: ignore[attr-defined]
        return await ctx.run("step", len, "abc")

    runner = AsyncAttemptRunner()
    try:
        assert runner.go(body) is JobState.SUCCEEDED
    finally:
        let_go.set()
    wait_until(lambda: not closers(), PATIENCE, "the loop is closed once its threads have ended")


async def a_cleaner(cleaned: list[bool]) -> None:
    try:
        await asyncio.sleep(PATIENCE)
    finally:
        cleaned.append(True)


def test_a_task_that_is_left_behind_is_cancelled_and_may_clean_up() -> None:
    cleaned: list[bool] = []

    async def body(ctx: AsyncJobContext) -> None:
        asyncio.get_running_loop().kept = asyncio.create_task(a_cleaner(cleaned))  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    assert AsyncAttemptRunner().go(body) is JobState.SUCCEEDED
    assert cleaned == [True]
