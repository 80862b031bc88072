"""Steps side by side: each recorded at its place, all to their end."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from tenacity import wait_none

from failsoft.job_engine import (
    AsyncJobContext,
    JobContext,
    JobState,
    RetryPolicy,
    StepTimeoutError,
)
from failsoft.job_engine.attempt.interrupts import Fenced, HoldRequested, TimedOut
from failsoft.job_engine.attempt.lease import Lease
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.job_engine.steps.test_async_jobs import AsyncAttemptRunner, double
from tests.unit.support.attempts import AttemptRunner, Worker

TWICE = RetryPolicy(max_attempts=2, wait=wait_none())


def places(runner: AttemptRunner) -> list[tuple[str, int, str]]:
    return [(s.name, s.seq, s.result) for s in runner.ledger.steps(runner.job_id)]


def fails() -> int:
    raise ConnectionError("not yet")


def test_branches_are_steps_in_the_order_given() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    ctx.run("first", lambda: 0)

    a, b = ctx.parallel(ctx.branch("a", lambda: 1), ctx.branch("b", str.upper, "two"))
    ctx.run("last", lambda: 3)

    assert (a, b) == (1, "TWO")
    assert places(runner) == [("first", 0, "0"), ("a", 1, "1"), ("b", 2, '"TWO"'), ("last", 3, "3")]


def test_branches_run_at_the_same_time() -> None:
    ctx, met = AttemptRunner().context(), threading.Barrier(3)

    numbers = ctx.parallel(*(ctx.branch(f"n{n}", met.wait, 5) for n in range(3)))

    assert sorted(numbers) == [0, 1, 2]


def test_no_more_run_at_once_than_allowed() -> None:
    ctx, most, now = AttemptRunner().context(), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1

    ctx.parallel(*(ctx.branch(f"n{n}", work) for n in range(6)), at_once=2)

    assert most == [2]


def test_all_run_to_their_end_and_the_first_error_in_order_is_raised() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    def fails_late() -> int:
        wait_until(lambda: "c" in runner.step_names, PATIENCE, "the others have ended")
        raise KeyError("first in order")

    with pytest.raises(KeyError, match="first in order"):
        ctx.parallel(
            ctx.branch("a", fails_late), ctx.branch("b", fails), ctx.branch("c", lambda: 3)
        )

    assert places(runner) == [("c", 2, "3")]


def test_a_resumed_job_runs_only_what_is_missing() -> None:
    worker, tries = Worker(), []

    def fails_once() -> int:
        tries.append(1)
        return fails() if len(tries) == 1 else 2

    def body(ctx: JobContext) -> list[Any]:
        both = ctx.parallel(ctx.branch("a", worker.work, 1), ctx.branch("b", fails_once))
        return [*both, ctx.run("c", worker.work)]

    runner = AttemptRunner(body)
    states = runner.run(), runner.run()

    assert states == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert [name for name, *_ in places(runner)] == ["a", "b", "c"]
    assert worker.calls == [(1,), ()]


def test_a_job_may_catch_what_a_branch_raised() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    with suppress(ConnectionError):
        ctx.parallel(ctx.branch("a", fails), ctx.branch("b", lambda: 2))
    ctx.run("instead", lambda: 3)

    assert places(runner) == [("b", 1, "2"), ("instead", 2, "3")]


def test_a_branch_has_policies_of_its_own() -> None:
    tries = []

    def flaky() -> int:
        tries.append(1)
        return fails() if len(tries) == 1 else len(tries)

    runner = AttemptRunner()
    ctx = JobContext(runner.claim(), runner.ledger, Lease(interrupt_thread), runner.clock)

    def slow() -> None:
        wait_until(lambda: False, PATIENCE, "to be interrupted")

    with pytest.raises(StepTimeoutError):
        ctx.parallel(
            ctx.branch("a", flaky, retry=TWICE),
            ctx.branch("b", slow, timeout=timedelta(milliseconds=20)),
        )

    assert places(runner) == [("a", 0, "2")]


def test_an_interrupt_reaches_every_branch() -> None:
    runner = AttemptRunner()
    lease, began = Lease(interrupt_thread), threading.Barrier(3)
    ctx = JobContext(runner.claim(), runner.ledger, lease, runner.clock)

    def long() -> None:
        began.wait(PATIENCE)
        wait_until(lambda: False, PATIENCE, "to be interrupted")

    def revoke() -> None:
        began.wait(PATIENCE)
        lease.revoke(TimedOut)

    threading.Thread(target=revoke).start()
    with pytest.raises(TimedOut):
        ctx.parallel(ctx.branch("a", long), ctx.branch("b", long))

    with pytest.raises(TimedOut):
        ctx.run("after", lambda: 1)


def test_a_fenced_branch_ends_the_attempt_before_an_error_does() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    def loses() -> None:
        runner.offer_again()

    with pytest.raises(Fenced):
        ctx.parallel(ctx.branch("a", fails), ctx.branch("b", loses))

    assert runner.step_names == []


def test_a_branch_begins_no_step() -> None:
    ctx = AttemptRunner().context()

    with pytest.raises(HoldRequested, match="do not nest"):
        ctx.parallel(ctx.branch("a", lambda: ctx.run("inner", lambda: 1)))


def test_branches_that_changed_places_hold_the_job() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    ctx.parallel(ctx.branch("a", lambda: 1), ctx.branch("b", lambda: 2))
    ctx = runner.context()

    with pytest.raises(HoldRequested, match="code changed"):
        ctx.parallel(ctx.branch("b", lambda: 2), ctx.branch("a", lambda: 1))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda ctx: ctx.parallel(), "at least one branch"),
        (lambda ctx: ctx.parallel(ctx.branch("a", fails), at_once=0), "at_once from 1 to"),
        (
            lambda ctx: ctx.parallel(ctx.branch("a", fails), ctx.branch("a", fails)),
            r"'a'.* twice",
        ),
        (lambda ctx: ctx.branch("a", fails, timeout=timedelta(0)), "timeout above zero"),
    ],
)
def test_bad_branches_hold_the_job(wrong: Callable[[JobContext], Any], match: str) -> None:
    with pytest.raises(HoldRequested, match=match):
        wrong(AttemptRunner().context())


def test_async_branches_run_side_by_side() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        met = asyncio.Barrier(2)

        async def meet() -> str:
            await met.wait()
            return "met"

        await ctx.parallel(ctx.branch("a", meet), ctx.branch("b", meet), ctx.branch("c", abs, -3))

    assert runner.go(body) is JobState.SUCCEEDED
    assert places(runner) == [("a", 0, '"met"'), ("b", 1, '"met"'), ("c", 2, "3")]


def test_async_branches_all_end_and_the_first_error_is_raised() -> None:
    runner, seen = AsyncAttemptRunner(), []

    async def fails_awaited() -> None:
        raise KeyError("a")

    async def body(ctx: AsyncJobContext) -> None:
        try:
            await ctx.parallel(
                ctx.branch("a", fails_awaited), ctx.branch("b", double, 2), ctx.branch("c", fails)
            )
        except KeyError as error:
            seen.append(error.args)

    assert runner.go(body) is JobState.SUCCEEDED
    assert seen == [("a",)]
    assert places(runner) == [("b", 1, "4")]


def test_an_interrupt_reaches_every_async_branch() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        threading.Timer(0.02, runner.lease.revoke, (TimedOut,)).start()
        with suppress(BaseException):
            await ctx.parallel(
                ctx.branch("a", asyncio.sleep, 10), ctx.branch("b", asyncio.sleep, 10)
            )
        await ctx.run("after", double, 1)

    assert runner.go(body) is JobState.SCHEDULED
    assert runner.step_names == []
