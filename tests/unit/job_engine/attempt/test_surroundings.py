"""Attempts run within the contexts that a job module names, and leave them whatever happens."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

from failsoft.job_engine import AsyncJobContext, JobContext, JobState
from failsoft.job_engine.attempt.interrupts import Released
from failsoft.job_engine.definitions import surroundings
from failsoft.job_engine.definitions.surroundings import surround_attempts
from tests.unit.support.async_attempts import AsyncAttemptRunner
from tests.unit.support.attempts import AttemptRunner

APP: ContextVar[str] = ContextVar("APP", default="none")


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[str]]:
    """What entered and left an app's context."""
    seen: list[str] = []

    @contextmanager
    def app_context() -> Iterator[None]:
        seen.append("entered")
        before = APP.set("shop")
        try:
            yield
        finally:
            APP.reset(before)
            seen.append("left")

    before = list(surroundings._surroundings)
    surround_attempts(app_context)
    surround_attempts(app_context)
    yield seen
    surroundings._surroundings[:] = before


def test_a_plain_attempt_and_its_steps_run_within_it_once(seen: list[str]) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        seen.extend([APP.get(), ctx.run("step", APP.get)])

    assert runner.run(body) is JobState.SUCCEEDED
    assert seen == ["entered", "shop", "shop", "left"]


def test_an_async_attempt_and_its_steps_run_within_it(seen: list[str]) -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> None:
        await asyncio.sleep(0)
        seen.extend([APP.get(), await ctx.run("step", APP.get)])

    assert runner.go(body) is JobState.SUCCEEDED
    assert seen == ["entered", "shop", "shop", "left"]


def test_an_attempt_that_raises_leaves_it(seen: list[str]) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        raise ValueError

    assert runner.run(body) is JobState.SCHEDULED
    assert seen == ["entered", "left"]


def test_an_attempt_that_is_interrupted_leaves_it(seen: list[str]) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        runner.lease.revoke(Released, immediately=False)
        ctx.run("step", int)

    assert runner.run(body) in {JobState.OFFERED, JobState.SCHEDULED}
    assert runner.job.releases == 1
    assert seen == ["entered", "left"]


def test_an_error_of_the_context_is_the_jobs() -> None:
    runner = AttemptRunner()

    @contextmanager
    def broken() -> Iterator[None]:
        raise LookupError("no app")
        yield

    surround_attempts(broken)

    assert runner.run(lambda ctx: None) is JobState.SCHEDULED
    assert runner.job.error is not None
    assert (runner.job.error.type, runner.job.error.message) == ("LookupError", "no app")
