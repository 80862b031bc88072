"""The longest one try of a step may take."""

import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from tenacity import wait_none

from failsoft.job_engine import NOT_DONE, JobContext, JobState, RetryPolicy, StepTimeoutError
from failsoft.job_engine.attempt import time_limit as limits
from failsoft.job_engine.attempt.interrupts import Fenced, HoldRequested
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import AttemptLimits
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.support.attempts import AttemptRunner, Body

SHORT = timedelta(milliseconds=20)
TWICE = RetryPolicy(max_attempts=2, wait=wait_none())


def dawdles(*, until: float = 5) -> None:
    """Go on until it is interrupted."""
    wait_until(lambda: False, until, "to be interrupted")


class Interruptible(AttemptRunner):
    """Its attempts can be interrupted as a worker interrupts them."""

    def run(self, body: Body | None = None, **options: object) -> JobState | None:
        self.lease = Lease(interrupt_thread)
        return self.executor.run(self.claim(), self.lease)


def fresh_context(runner: AttemptRunner, limit: timedelta | None = None) -> JobContext:
    lease = Lease(interrupt_thread)
    limits = AttemptLimits(limit)
    return JobContext(runner.claim(), runner.ledger, lease, runner.clock, limits=limits)


def test_a_step_that_takes_too_long_raises() -> None:
    runner = AttemptRunner()

    with pytest.raises(StepTimeoutError, match="'fetch' took longer than its timeout of 0:00:00"):
        fresh_context(runner).run("fetch", dawdles, timeout=SHORT)

    assert runner.step_names == []


def test_a_step_in_time_is_left_alone() -> None:
    assert fresh_context(AttemptRunner()).run("fetch", lambda: 1, timeout=timedelta(minutes=1)) == 1


def test_its_retry_policy_answers_it() -> None:
    tries: list[int] = []

    def slow_at_first() -> str:
        tries.append(1)
        if len(tries) == 1:
            dawdles()
        return "done"

    ctx = fresh_context(AttemptRunner())

    assert ctx.run("fetch", slow_at_first, timeout=SHORT, retry=TWICE) == "done"
    assert len(tries) == 2


def test_then_the_jobs_policy_answers_it() -> None:
    runner = Interruptible(lambda ctx: ctx.run("fetch", dawdles, timeout=SHORT))

    assert runner.run() is JobState.SCHEDULED
    assert runner.job.errors == 1
    assert runner.job.error is not None
    assert runner.job.error.type.endswith("StepTimeoutError")


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_a_step_that_swallows_it_is_late_all_the_same(kind: type[BaseException]) -> None:
    def swallows() -> str:
        with suppress(kind):
            dawdles()
        return "as if nothing was"

    runner = AttemptRunner()

    with pytest.raises(StepTimeoutError):
        fresh_context(runner).run("fetch", swallows, timeout=SHORT)

    assert runner.step_names == []


def test_a_job_may_catch_it_and_go_on() -> None:
    ctx = fresh_context(AttemptRunner())

    with suppress(StepTimeoutError):
        ctx.run("fetch", dawdles, timeout=SHORT)

    assert ctx.run("instead", lambda: 1) == 1


def test_a_once_step_that_was_too_slow_may_have_taken_effect() -> None:
    with pytest.raises(HoldRequested, match="'pay' raised StepTimeoutError"):
        fresh_context(AttemptRunner()).run("pay", dawdles, timeout=SHORT, once=True)


def test_a_once_step_that_was_too_slow_is_verified_by_the_next_attempt() -> None:
    runner = AttemptRunner()
    with pytest.raises(StepTimeoutError):
        fresh_context(runner).run("pay", dawdles, timeout=SHORT, once=True, verify=lambda: NOT_DONE)

    fresh_context(runner).run(
        "pay", lambda: None, timeout=SHORT, once=True, verify=lambda: NOT_DONE
    )

    assert runner.step_names == ["pay"]


@pytest.mark.parametrize("once", [False, True])
def test_code_that_cannot_be_interrupted_ends_its_attempt_all_the_same(
    monkeypatch: pytest.MonkeyPatch, *, once: bool
) -> None:
    monkeypatch.setattr(limits, "STUCK_SECONDS", 0.05)
    stuck, ended = threading.Event(), threading.Event()

    def hangs() -> None:
        # A thread that waits for this in C cannot be interrupted, and it is what ends it.
        ended.wait(PATIENCE)
        stuck.set()

    runner = Interruptible(lambda ctx: ctx.run("fetch", hangs, timeout=SHORT, once=once))
    attempt = threading.Thread(target=runner.run)
    attempt.start()

    expected = JobState.HELD if once else JobState.SCHEDULED
    wait_until(lambda: runner.state is expected, PATIENCE, "the attempt has ended")
    ended.set()
    attempt.join(PATIENCE)

    assert runner.job.state is expected
    assert runner.events.kinds[-1] == "job.fenced"
    assert [step.kind for step in runner.ledger.steps(runner.job_id)] == (
        ["intent"] if once else []
    )


def test_an_attempt_that_is_over_wins() -> None:
    ctx = fresh_context(AttemptRunner())

    def loses_the_lease() -> None:
        ctx._lease.revoke(Fenced)
        dawdles()

    with pytest.raises(Fenced):
        ctx.run("fetch", loses_the_lease, timeout=timedelta(minutes=1))


def test_a_step_that_ends_when_its_time_is_up_is_never_half_interrupted() -> None:
    runner = AttemptRunner()
    ctx = fresh_context(runner)
    outcomes = set()

    for number in range(60):
        try:
            outcomes.add(ctx.run(f"step {number}", _nap, timeout=timedelta(microseconds=600)))
        except StepTimeoutError:
            outcomes.add("late")
            ctx.run(f"step {number}", str)

    assert outcomes <= {"in time", "late"}
    assert len(runner.step_names) == 60


def _nap() -> str:
    time.sleep(0.0005)
    return "in time"


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
def test_a_timeout_is_above_zero(timeout: timedelta) -> None:
    with pytest.raises(HoldRequested, match="timeout above zero"):
        fresh_context(AttemptRunner()).run("fetch", lambda: 1, timeout=timeout)


def test_a_timeout_is_no_longer_than_the_attempts() -> None:
    ctx = fresh_context(AttemptRunner(), timedelta(minutes=5))

    with pytest.raises(HoldRequested, match=r"at most 0:05:00.*got 0:06:00"):
        ctx.run("fetch", lambda: 1, timeout=timedelta(minutes=6))


def test_the_executor_applies_the_attempts_timeout() -> None:
    runner = Interruptible(
        lambda ctx: ctx.run("fetch", lambda: 1, timeout=timedelta(hours=1)),
        timeout=timedelta(minutes=1),
    )

    assert runner.run() is JobState.HELD
