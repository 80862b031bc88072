"""What the steps of an attempt are counted as."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from tenacity import wait_none

from failsoft.job_engine import AsyncJobContext, Catalogue, Executor, JobContext, RetryPolicy, job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.ports.measures import Series
from failsoft.job_engine.records.waits import SentEvent, event_topic
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from tests.servers.processes import wait_until
from tests.unit.support.attempts import AttemptRunner, Body, Mail, define

TWICE = RetryPolicy(max_attempts=2, wait=wait_none())
LATE = timedelta(milliseconds=20)


class CountingRunner(AttemptRunner):
    """Its attempts count their steps."""

    def __init__(self) -> None:
        super().__init__()
        self.measures = Measures()

    def go(self, definition: Any) -> Mapping[str, int]:
        """Run an attempt; return what became of its steps."""
        executor = Executor(
            self.ledger, Catalogue([definition]), self.clock, measures=self.measures
        )
        executor.run(self.claim(), Lease(interrupt_thread))
        batch = self.measures.take()
        self.measures.written(batch)
        counts: Mapping[Series, int] = {} if batch is None else batch.counts
        assert {(each.measure, each.name) for each in counts} <= {("steps", "welcome")}
        return {each.labels: count for each, count in counts.items()}


@pytest.fixture
def runner() -> CountingRunner:
    return CountingRunner()


def fails_first(calls: list[int], error: Callable[[], object]) -> Callable[[], int]:
    def work() -> int:
        calls.append(1)
        if len(calls) == 1:
            error()
        return 1

    return work


def refuses() -> None:
    raise ValueError


def dawdles() -> None:
    wait_until(lambda: False, 5, "to be interrupted")


def counted(runner: CountingRunner, body: Body) -> Mapping[str, int]:
    return runner.go(define(body))


def test_steps_that_ran_are_reused_by_the_next_attempt(runner: CountingRunner) -> None:
    def body(ctx: JobContext) -> None:
        ctx.run("one", lambda: 1)
        ctx.run("two", lambda: 2, once=True)
        ctx.parallel(ctx.branch("left", lambda: 3), ctx.branch("right", lambda: 4))
        for _ in ctx.batches("batch", [1, 2], size=1):
            pass
        if ctx.attempt == 1:
            raise ValueError

    assert counted(runner, body) == {"run/run": 3, "once/run": 1, "branch/run": 2}
    assert counted(runner, body) == {"run/reused": 3, "once/reused": 1, "branch/reused": 2}


def test_a_step_of_an_async_job_counts_alike(runner: CountingRunner) -> None:
    @job(name="welcome")
    async def welcome(payload: Mail, ctx: AsyncJobContext) -> None:
        await ctx.run("one", lambda: 1)

    assert runner.go(welcome) == {"run/run": 1}


def test_a_sleep_counts_when_it_begins_and_is_reused_when_it_is_over(
    runner: CountingRunner,
) -> None:
    def body(ctx: JobContext) -> None:
        ctx.sleep("nap", timedelta(seconds=1))

    assert counted(runner, body) == {"sleep/run": 1}
    assert counted(runner, body) == {"sleep/reused": 1}


def test_a_wait_counts_when_it_is_met(runner: CountingRunner) -> None:
    def body(ctx: JobContext) -> None:
        ctx.wait_for_event("paid")

    assert counted(runner, body) == {}
    topic = event_topic("paid", job_id=runner.job_id)
    runner.ledger.send(SentEvent("e1", topic, "paid", "{}", timedelta(days=1)))
    assert counted(runner, body) == {"wait/run": 1}


@pytest.mark.parametrize("once", [False, True])
def test_a_try_that_took_too_long_counts(runner: CountingRunner, *, once: bool) -> None:
    def body(ctx: JobContext) -> None:
        ctx.run("one", dawdles, timeout=LATE, once=once)

    kind = "once" if once else "run"
    assert counted(runner, body) == {f"{kind}/timed_out": 1}


def test_a_try_that_another_follows_counts(runner: CountingRunner) -> None:
    calls = list[int]()

    def body(ctx: JobContext) -> None:
        ctx.run("one", fails_first(calls, refuses), retry=TWICE)
        calls.clear()
        ctx.run("two", fails_first(calls, dawdles), retry=TWICE, timeout=LATE)

    assert counted(runner, body) == {"run/run": 2, "run/retried": 2, "run/timed_out": 1}
