"""`async def` jobs: the same steps, the same records, the same ends."""

import asyncio
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import (
    NOT_DONE,
    AsyncJobContext,
    JobContext,
    JobState,
    job,
)
from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.records.job import StepKind
from tests.unit.support.async_attempts import TWICE, AsyncAttemptRunner, double
from tests.unit.support.attempts import Mail, Worker


def test_a_job_awaits_its_steps() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> list[int]:
        return [await ctx.run("a", double, 1), await ctx.run("b", double, 2)]

    assert runner.go(body) is JobState.SUCCEEDED
    assert runner.job.result == "[2,4]"
    assert [(s.name, s.seq, s.kind) for s in runner.ledger.steps(runner.job_id)] == [
        ("a", 0, StepKind.RUN),
        ("b", 1, StepKind.RUN),
    ]


def test_a_plain_function_runs_in_a_thread() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> bool:
        return await ctx.run("where", threading.get_ident) != threading.get_ident()

    runner.go(body)

    assert runner.job.result == "true"


def test_the_loop_is_not_blocked_by_a_plain_step() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> bool:
        ticked = threading.Event()
        asyncio.get_running_loop().call_soon(ticked.set)
        return await ctx.run("wait", ticked.wait, 5)

    runner.go(body)

    assert runner.job.result == "true"


def test_a_job_may_become_async_between_two_attempts() -> None:
    runner, worker = AsyncAttemptRunner(), Worker()

    def before(ctx: JobContext) -> None:
        ctx.run("fetch", worker.work, 1)
        ctx.sleep("nap", timedelta(hours=1))

    async def after(ctx: AsyncJobContext) -> Any:
        fetched = await ctx.run("fetch", worker.work, 2)
        await ctx.sleep("nap", timedelta(hours=1))
        return fetched

    first = runner.run(before)

    assert (first, runner.go(after)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert worker.calls == [(1,)]


def test_a_sleep_suspends_the_job() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> str:
        await ctx.sleep("nap", timedelta(hours=1))
        await ctx.sleep_until("until", runner.clock.now())
        return "rested"

    assert [runner.go(body) for _ in range(3)] == [
        JobState.SCHEDULED,
        JobState.SCHEDULED,
        JobState.SUCCEEDED,
    ]


def test_values_stay_what_they_were() -> None:
    runner, seen = AsyncAttemptRunner(), []

    async def body(ctx: AsyncJobContext) -> None:
        seen.append([await ctx.now(), await ctx.uuid(), await ctx.random()])
        if len(seen) == 1:
            raise ConnectionError

    runner.go(body)
    runner.go(body)

    assert seen[0] == seen[1]


def test_a_loop_goes_on_with_the_batch_that_was_cut_off() -> None:
    runner, seen = AsyncAttemptRunner(), []

    async def body(ctx: AsyncJobContext) -> None:
        async for batch in ctx.batches("import", range(5), size=2):
            seen.append(batch)
            if batch == [2, 3] and ctx.attempt == 1:
                raise ConnectionError

    assert (runner.go(body), runner.go(body)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert seen == [[0, 1], [2, 3], [2, 3], [4]]


def test_progress_is_reported() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        await ctx.progress(1, 2)
        await ctx.progress(2, 2)

    runner.go(body)

    assert runner.job.progress is not None
    assert runner.job.progress.done == 2


def test_an_error_of_a_step_is_the_jobs() -> None:
    runner = AsyncAttemptRunner()

    async def fails() -> None:
        raise ConnectionError("not yet")

    async def body(ctx: AsyncJobContext) -> int:
        with suppress(ConnectionError):
            await ctx.run("a", fails)
        return await ctx.run("a", double, 1)

    assert runner.go(body) is JobState.SUCCEEDED


@pytest.mark.parametrize("plain", [False, True])
def test_a_step_is_tried_again(*, plain: bool) -> None:
    runner, tries = AsyncAttemptRunner(), []

    def work() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        return len(tries)

    async def awaited() -> int:
        return work()

    async def body(ctx: AsyncJobContext) -> int:
        return await ctx.run("a", work if plain else awaited, retry=TWICE)

    assert runner.go(body) is JobState.SUCCEEDED
    assert runner.job.result == "2"


def test_a_once_step_that_raised_holds_the_job() -> None:
    runner = AsyncAttemptRunner()

    async def fails() -> None:
        raise ConnectionError

    async def body(ctx: AsyncJobContext) -> None:
        await ctx.run("pay", fails, once=True)

    assert runner.go(body) is JobState.HELD


def test_a_once_step_in_doubt_is_verified() -> None:
    runner, paid = AsyncAttemptRunner(), []

    async def pay() -> str:
        paid.append("paid")
        raise ConnectionError

    async def find_out() -> Any:
        return paid[0] if paid else NOT_DONE

    async def body(ctx: AsyncJobContext) -> str:
        return await ctx.run("pay", pay, once=True, verify=find_out)

    assert (runner.go(body), runner.go(body)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert paid == ["paid"]


def test_steps_side_by_side_hold_the_job() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        await asyncio.gather(ctx.run("a", double, 1), ctx.run("b", double, 2))

    assert runner.go(body) is JobState.HELD
    assert runner.job.error is not None
    assert "one after the other" in runner.job.error.message


def test_an_async_handler_takes_the_async_context() -> None:
    async def wrong(payload: Mail, ctx: JobContext) -> None: ...

    with pytest.raises(DefinitionError, match="`async def` to take AsyncJobContext, got JobCont"):
        job()(wrong)


def test_a_plain_handler_takes_the_plain_context() -> None:
    def wrong(payload: Mail, ctx: AsyncJobContext) -> None: ...

    with pytest.raises(DefinitionError, match="plain function to take JobContext, got AsyncJobC"):
        job()(wrong)
