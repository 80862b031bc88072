"""`async def` jobs: the same steps, the same records, the same ends."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from tenacity import wait_none

from tests.unit.support import Mail, Stage, Worker
from understudy.job_engine import (
    NOT_DONE,
    AsyncJobContext,
    JobContext,
    JobState,
    RetryPolicy,
    StepTimeoutError,
    job,
)
from understudy.job_engine.errors import DefinitionError
from understudy.job_engine.interrupts import Fenced, Interrupt, Released, TimedOut
from understudy.job_engine.lease import Lease
from understudy.job_engine.records import StepKind
from understudy.worker.interrupter import interrupt_thread

Body = Callable[[AsyncJobContext], Coroutine[Any, Any, Any]]
SHORT = timedelta(milliseconds=30)
TWICE = RetryPolicy(max_attempts=2, wait=wait_none())


class AsyncStage(Stage):
    """One `async def` job on a ledger in memory."""

    def go(self, body: Body) -> JobState | None:
        """Run one attempt."""

        async def handler(payload: Mail, ctx: AsyncJobContext) -> Any:
            return await body(ctx)

        self.definitions = [job(name="welcome", retry=TWICE)(handler)]
        self.lease = Lease(interrupt_thread)
        return self.executor.run(self.claim(), self.lease)


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


def test_a_job_awaits_its_steps() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> list[int]:
        return [await ctx.run("a", double, 1), await ctx.run("b", double, 2)]

    assert stage.go(body) is JobState.SUCCEEDED
    assert stage.job.result == "[2,4]"
    assert [(s.name, s.seq, s.kind) for s in stage.ledger.steps(stage.job_id)] == [
        ("a", 0, StepKind.RUN),
        ("b", 1, StepKind.RUN),
    ]


def test_a_plain_function_runs_in_a_thread() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> bool:
        return await ctx.run("where", threading.get_ident) != threading.get_ident()

    stage.go(body)

    assert stage.job.result == "true"


def test_the_loop_is_not_blocked_by_a_plain_step() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> bool:
        ticked = threading.Event()
        asyncio.get_running_loop().call_soon(ticked.set)
        return await ctx.run("wait", ticked.wait, 5)

    stage.go(body)

    assert stage.job.result == "true"


def test_a_job_may_become_async_between_two_attempts() -> None:
    stage, worker = AsyncStage(), Worker()

    def before(ctx: JobContext) -> None:
        ctx.run("fetch", worker.work, 1)
        ctx.sleep("nap", timedelta(hours=1))

    async def after(ctx: AsyncJobContext) -> Any:
        fetched = await ctx.run("fetch", worker.work, 2)
        await ctx.sleep("nap", timedelta(hours=1))
        return fetched

    first = stage.run(before)

    assert (first, stage.go(after)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert worker.calls == [(1,)]


def test_a_sleep_suspends_the_job() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> str:
        await ctx.sleep("nap", timedelta(hours=1))
        await ctx.sleep_until("until", stage.clock.now())
        return "rested"

    assert [stage.go(body) for _ in range(3)] == [
        JobState.SCHEDULED,
        JobState.SCHEDULED,
        JobState.SUCCEEDED,
    ]


def test_values_stay_what_they_were() -> None:
    stage, seen = AsyncStage(), []

    async def body(ctx: AsyncJobContext) -> None:
        seen.append([await ctx.now(), await ctx.uuid(), await ctx.random()])
        if len(seen) == 1:
            raise ConnectionError

    stage.go(body)
    stage.go(body)

    assert seen[0] == seen[1]


def test_a_loop_goes_on_with_the_batch_that_was_cut_off() -> None:
    stage, seen = AsyncStage(), []

    async def body(ctx: AsyncJobContext) -> None:
        async for batch in ctx.batches("import", range(5), size=2):
            seen.append(batch)
            if batch == [2, 3] and ctx.attempt == 1:
                raise ConnectionError

    assert (stage.go(body), stage.go(body)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert seen == [[0, 1], [2, 3], [2, 3], [4]]


def test_progress_is_told() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> None:
        await ctx.progress(1, 2)
        await ctx.progress(2, 2)

    stage.go(body)

    assert stage.job.progress is not None
    assert stage.job.progress.done == 2


def test_an_error_of_a_step_is_the_jobs() -> None:
    stage = AsyncStage()

    async def fails() -> None:
        raise ConnectionError("not yet")

    async def body(ctx: AsyncJobContext) -> int:
        with suppress(ConnectionError):
            await ctx.run("a", fails)
        return await ctx.run("a", double, 1)

    assert stage.go(body) is JobState.SUCCEEDED


@pytest.mark.parametrize("plain", [False, True])
def test_a_step_is_tried_again(*, plain: bool) -> None:
    stage, tries = AsyncStage(), []

    def work() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        return len(tries)

    async def awaited() -> int:
        return work()

    async def body(ctx: AsyncJobContext) -> int:
        return await ctx.run("a", work if plain else awaited, retry=TWICE)

    assert stage.go(body) is JobState.SUCCEEDED
    assert stage.job.result == "2"


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
    stage, late = AsyncStage(), []

    async def body(ctx: AsyncJobContext) -> None:
        try:
            await ctx.run("slow", work, timeout=SHORT)
        except StepTimeoutError as error:
            late.append(str(error))
        await ctx.run("after", double, 1)

    assert stage.go(body) is JobState.SUCCEEDED
    assert late == ["step 'slow' took longer than its timeout of 0:00:00.030000"]
    assert stage.step_names == ["after"]


def test_a_timeout_error_of_the_steps_own_is_no_step_timeout() -> None:
    async def gives_up() -> None:
        raise TimeoutError("the server's")

    async def body(ctx: AsyncJobContext) -> str:
        try:
            await ctx.run("ask", gives_up, timeout=timedelta(minutes=1))
        except TimeoutError as error:
            return str(error)
        return ""

    stage = AsyncStage()
    stage.go(body)

    assert stage.job.result == '"the server\'s"'


def test_a_once_step_that_raised_holds_the_job() -> None:
    stage = AsyncStage()

    async def fails() -> None:
        raise ConnectionError

    async def body(ctx: AsyncJobContext) -> None:
        await ctx.run("pay", fails, once=True)

    assert stage.go(body) is JobState.HELD


def test_a_once_step_in_doubt_is_verified() -> None:
    stage, paid = AsyncStage(), []

    async def pay() -> str:
        paid.append("paid")
        raise ConnectionError

    async def find_out() -> Any:
        return paid[0] if paid else NOT_DONE

    async def body(ctx: AsyncJobContext) -> str:
        return await ctx.run("pay", pay, once=True, verify=find_out)

    assert (stage.go(body), stage.go(body)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert paid == ["paid"]


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
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> str:
        timer = threading.Timer(0.02, stage.lease.revoke, (interrupt,))
        timer.start()
        with suppress(kind):
            if work is None:
                await asyncio.sleep(10)
            else:
                await ctx.run("long", work)
        await ctx.run("one step more", double, 1)
        return "done"

    assert stage.go(body) is expected
    assert stage.step_names == []


def test_code_that_blocks_its_loop_is_interrupted_like_a_thread() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> None:
        threading.Timer(0.02, stage.lease.revoke, (TimedOut,)).start()
        dawdles_in_a_thread()

    started = time.monotonic()

    assert stage.go(body) is JobState.SCHEDULED
    assert time.monotonic() - started < 5


def test_a_cancel_request_is_honoured_at_the_next_step() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> None:
        stage.ledger.cancel(stage.job_id, "me")
        await ctx.run("after", double, 1)

    assert stage.go(body) is JobState.CANCELLED


def test_what_a_job_cancels_itself_is_no_interrupt() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> None:
        raise asyncio.CancelledError

    assert stage.go(body) is JobState.SCHEDULED
    assert stage.job.error is not None
    assert "CancelledError" in stage.job.error.message


def test_steps_side_by_side_hold_the_job() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> None:
        await asyncio.gather(ctx.run("a", double, 1), ctx.run("b", double, 2))

    assert stage.go(body) is JobState.HELD
    assert stage.job.error is not None
    assert "one after the other" in stage.job.error.message


def test_a_fence_is_noticed_at_the_next_step() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> None:
        stage.offer_again()
        await ctx.run("a", double, 1)

    assert stage.go(body) is None


def test_an_async_handler_takes_the_async_context() -> None:
    async def wrong(payload: Mail, ctx: JobContext) -> None: ...

    with pytest.raises(DefinitionError, match="`async def` to take AsyncJobContext, got JobCont"):
        job()(wrong)


def test_a_plain_handler_takes_the_plain_context() -> None:
    def wrong(payload: Mail, ctx: AsyncJobContext) -> None: ...

    with pytest.raises(DefinitionError, match="plain function to take JobContext, got AsyncJobC"):
        job()(wrong)
