"""No attempt sees what another one set: context variables, decimal contexts, bound logs."""

import asyncio
import decimal
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from decimal import Decimal
from typing import Any

import structlog
from tenacity import RetryCallState

from failsoft.job_engine import AsyncJobContext, JobContext, JobState, RetryPolicy
from failsoft.job_engine.outcome import timed_out
from failsoft.job_engine.records.job import Claim
from failsoft.worker.attempts.admission import Admission, WorkerIdentity
from failsoft.worker.attempts.processor import Processor
from failsoft.worker.attempts.slot_watch import SlotWatch
from tests.unit.support.async_attempts import AsyncAttemptRunner
from tests.unit.support.attempts import AttemptRunner
from tests.unit.worker.attempts.offered_job import QUEUE, OfferedJob

TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody's")
PRECISE = decimal.getcontext().prec


def change() -> None:
    """Set what a job could leave behind in its thread."""
    TENANT.set("acme")
    decimal.getcontext().prec = 5
    structlog.contextvars.bind_contextvars(customer="acme")


def seen() -> tuple[str, int, dict[str, Any]]:
    return TENANT.get(), decimal.getcontext().prec, structlog.contextvars.get_contextvars()


CHANGED = ("acme", 5, {"customer": "acme"})


def test_a_plain_attempt_leaves_nothing_in_its_thread() -> None:
    before = seen()
    runner, at_the_end = AttemptRunner(), []

    def body(ctx: JobContext) -> None:
        change()
        at_the_end.append(seen())

    runner.run(body)

    assert at_the_end == [CHANGED]
    assert seen() == before
    assert Decimal(1) / 3 != Decimal("0.33333")


def test_an_attempt_that_raises_leaves_nothing_either() -> None:
    before = seen()

    def body(ctx: JobContext) -> None:
        change()
        raise SystemExit

    AttemptRunner().run(body)

    assert seen() == before


def test_an_async_attempt_leaves_nothing_in_its_thread() -> None:
    before = seen()

    async def body(ctx: AsyncJobContext) -> None:
        await asyncio.sleep(0)
        change()

    assert AsyncAttemptRunner().go(body) is JobState.SUCCEEDED
    assert seen() == before


def test_a_plain_step_of_an_async_job_sees_what_the_job_set() -> None:
    found: list[object] = []

    async def body(ctx: AsyncJobContext) -> None:
        change()
        await ctx.run("look", lambda: found.append(seen()))
        await ctx.parallel(
            ctx.branch("one", lambda: found.append(seen())),
            ctx.branch("two", lambda: found.append(seen())),
        )

    assert AsyncAttemptRunner().go(body) is JobState.SUCCEEDED
    assert found == [CHANGED] * 3


def test_branches_see_what_their_job_set_and_nothing_of_each_other() -> None:
    found: list[object] = []

    def branch(tenant: str) -> str:
        before = TENANT.get()
        assert decimal.getcontext().prec == PRECISE
        change()
        TENANT.set(tenant)
        return before

    def body(ctx: JobContext) -> None:
        TENANT.set("acme")
        branches = (ctx.branch(name, branch, name) for name in ("one", "two", "three"))
        found.extend(ctx.parallel(*branches, at_once=1))
        found.append(TENANT.get())
        assert decimal.getcontext().prec == PRECISE

    assert AttemptRunner().run(body) is JobState.SUCCEEDED
    assert found == ["acme"] * 4


def test_async_branches_see_nothing_of_each_other() -> None:
    async def branch() -> int:
        before = decimal.getcontext().prec
        change()
        return before

    async def body(ctx: AsyncJobContext) -> None:
        branches = (ctx.branch(name, branch) for name in ("one", "two"))
        assert await ctx.parallel(*branches, at_once=1) == (PRECISE, PRECISE)
        assert seen()[:2] == ("nobody's", PRECISE)

    assert AsyncAttemptRunner().go(body) is JobState.SUCCEEDED


def test_a_retry_policy_leaves_nothing_in_the_thread_that_calls_it() -> None:
    def wait(state: RetryCallState) -> float:
        change()
        return 1.0

    def body(ctx: JobContext) -> None:
        raise ValueError

    before = seen()
    runner = AttemptRunner()

    assert runner.run(body, retry=RetryPolicy(wait=wait)) is JobState.SCHEDULED
    # As the thread does that renews leases, outside any attempt.
    timed_out(runner.definitions[0], OfferedJob().claim(name="welcome"))
    assert seen() == before


def test_the_attempts_of_a_slot_begin_in_a_context_of_their_own() -> None:
    offered = OfferedJob()
    admission = Admission(
        WorkerIdentity("rq", QUEUE, "worker"),
        offered.ledger,
        offered.keys,
        clock=offered.clock,
        listener=offered.events.append,
        stopping=lambda: False,
        give_back=lambda ticket: None,
    )
    found: list[object] = []

    class Runner:
        def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
            found.append((TENANT.get(), structlog.contextvars.get_contextvars().get("job_id")))
            TENANT.set("acme")

    processor = Processor(admission, Runner(), lambda: None, SlotWatch(1, list, offered.clock))

    def serve() -> None:
        # What the engine's own thread holds is no job's, either.
        TENANT.set("the engine's")
        for job_id in ("job-1", "job-2"):
            processor(offered.offer(job_id).to_wire())

    copy_context().run(serve)
    assert found == [("nobody's", "job-1"), ("nobody's", "job-2")]
