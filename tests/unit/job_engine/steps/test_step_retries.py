"""Steps that are tried again within an attempt, loops in batches, values that stay the same."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tenacity import wait_fixed

from failsoft.job_engine import NOT_DONE, JobContext, JobState, NonRetryableError, RetryPolicy
from failsoft.job_engine.attempt.interrupts import CancelRequested, HoldRequested, Released
from tests.unit.support.attempts import AttemptRunner, Worker

THREE = RetryPolicy(max_attempts=3, wait=wait_fixed(5))


class Flaky:
    """Fails so many times."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.left = failures
        self.calls = 0
        self.error = error
        self.then: Callable[[], object] = lambda: None

    def work(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            self.then()
            raise self.error("not yet")
        return "done"


def test_a_step_is_tried_again_after_the_policys_pause() -> None:
    runner, flaky = AttemptRunner(), Flaky(2)
    began = runner.clock.steady()

    assert runner.context().run("fetch", flaky.work, retry=THREE) == "done"
    assert flaky.calls == 3
    assert runner.clock.steady() - began == pytest.approx(10)


def test_when_no_try_is_left_the_error_is_the_jobs() -> None:
    runner, flaky = AttemptRunner(), Flaky(3)

    with pytest.raises(ConnectionError):
        runner.context().run("fetch", flaky.work, retry=THREE)

    assert (flaky.calls, runner.step_names) == (3, [])


def test_what_is_not_retryable_is_not_tried_again() -> None:
    flaky = Flaky(1, NonRetryableError)

    with pytest.raises(NonRetryableError):
        AttemptRunner().context().run("fetch", flaky.work, retry=THREE)

    assert flaky.calls == 1


def test_a_job_that_was_cancelled_meanwhile_does_not_try_again() -> None:
    runner, flaky = AttemptRunner(), Flaky(1)
    flaky.then = lambda: runner.ledger.cancel(runner.job_id, "me")

    with pytest.raises(CancelRequested):
        runner.context().run("fetch", flaky.work, retry=THREE)

    assert flaky.calls == 1


def test_a_worker_that_stops_does_not_wait_for_the_next_try() -> None:
    runner, flaky = AttemptRunner(), Flaky(1)
    ctx = runner.context()
    flaky.then = lambda: runner.lease.revoke(Released, immediately=False)
    began = runner.clock.steady()

    with pytest.raises(Released):
        ctx.run("fetch", flaky.work, retry=THREE)

    assert runner.clock.steady() == began


def test_once_and_retry_contradict_each_other() -> None:
    with pytest.raises(HoldRequested, match="`once` or `retry`, got both"):
        AttemptRunner().context().run("pay", lambda: 1, once=True, retry=THREE)


def test_verify_alone_says_nothing() -> None:
    with pytest.raises(HoldRequested, match="`verify` with `once`"):
        AttemptRunner().context().run("pay", lambda: 1, verify=lambda: NOT_DONE)


def test_a_loop_in_batches_is_a_step_for_each() -> None:
    runner = AttemptRunner()

    seen = list(runner.context().batches("import", range(7), size=3))

    assert seen == [[0, 1, 2], [3, 4, 5], [6]]
    assert runner.step_names == ["import 1", "import 2", "import 3"]


def test_a_loop_goes_on_with_the_batch_that_was_cut_off() -> None:
    seen: list[list[int]] = []

    def body(ctx: JobContext) -> int:
        for batch in ctx.batches("import", range(10), size=3):
            seen.append(batch)
            if batch == [6, 7, 8] and ctx.attempt == 1:
                raise ConnectionError("in the middle of it")
        return ctx.run("count", lambda: len(seen))

    runner = AttemptRunner(body)
    first = runner.run()
    runner.clock.advance(timedelta(minutes=1))

    assert (first, runner.run()) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert seen == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [6, 7, 8], [9]]
    assert runner.job.result == "5"


def test_a_loop_that_is_left_leaves_its_batch_unfinished() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    for _batch in ctx.batches("import", range(10), size=3):
        break

    assert runner.step_names == []
    assert ctx.run("after", lambda: 1) == 1


def test_no_step_begins_within_a_batch() -> None:
    ctx = AttemptRunner().context()
    loop = ctx.batches("import", range(10), size=3)
    next(loop)

    with pytest.raises(HoldRequested, match="inside step 'import 1'"):
        ctx.run("inner", lambda: 1)


def test_a_loop_of_nothing_is_over() -> None:
    assert list(AttemptRunner().context().batches("import", [], size=3)) == []


def test_a_batch_has_a_size() -> None:
    with pytest.raises(HoldRequested, match="a size from 1 to 1000000, got 0"):
        list(AttemptRunner().context().batches("import", [1], size=0))


def test_now_uuid_and_random_stay_what_they_were() -> None:
    runner = AttemptRunner()

    def ask(ctx: JobContext) -> list[object]:
        return [ctx.now(), ctx.uuid(), ctx.random(), ctx.now()]

    first = ask(runner.context())
    runner.clock.advance(timedelta(hours=1))

    assert ask(runner.context()) == first
    assert runner.context().now().utcoffset() == timedelta(0)
    assert runner.step_names == ["now 0", "uuid 1", "random 2", "now 3"]


def test_a_policy_is_no_argument_of_the_step() -> None:
    runner, worker = AttemptRunner(), Worker()

    runner.context().run("fetch", worker.work, 1, 2, retry=THREE)

    assert worker.calls == [(1, 2)]


def test_a_step_may_raise_what_no_generator_can() -> None:
    stop = StopIteration("no more")

    def work() -> None:
        raise stop

    with pytest.raises(StopIteration) as caught:
        AttemptRunner().context().run("next", work)

    assert caught.value is stop
    assert caught.traceback[-1].name == "work"


def test_an_error_that_a_step_made_of_a_stop_iteration_stays_that_error() -> None:
    error = RuntimeError("generator raised StopIteration")

    def work() -> None:
        raise error from StopIteration()

    with pytest.raises(RuntimeError) as caught:
        AttemptRunner().context().run("next", work)

    assert caught.value is error


def test_the_traceback_of_a_step_ends_in_the_steps_own_frames() -> None:
    with pytest.raises(ConnectionError) as caught:
        AttemptRunner().context().run("fetch", Flaky(3).work, retry=THREE)

    assert [frame.name for frame in caught.traceback[-3:]] == ["call", "call", "work"]
