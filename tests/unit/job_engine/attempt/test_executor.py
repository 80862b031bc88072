"""Running one attempt to its end, whichever that is."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import JobContext, JobState, NonRetryableError, declare_job
from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import CRASH
from tests.unit.support.attempts import RETRY, AttemptRunner, Mail


def raises(error: BaseException) -> Any:
    def body(ctx: JobContext) -> None:
        raise error

    return body


def test_a_handler_gets_its_payload_and_its_result_is_recorded() -> None:
    runner = AttemptRunner()
    runner.definitions = [declare_job("welcome", payload=Mail, result=int, retry=RETRY)]
    runner.definitions = [runner.definitions[0].bind(_double)]

    state = runner.executor.run(runner.claim(), Lease())

    assert (state, runner.job.result) == (JobState.SUCCEEDED, "14")


def test_a_handler_that_raises_is_tried_again_later() -> None:
    runner = AttemptRunner()

    state = runner.run(raises(ValueError("no such user")))

    assert (state, runner.job.errors) == (JobState.SCHEDULED, 1)
    assert runner.job.run_at == runner.clock.now() + timedelta(seconds=5)
    assert runner.job.error is not None
    assert runner.job.error.message == "no such user"


def test_a_handler_that_raises_too_often_fails_the_job() -> None:
    runner = AttemptRunner()

    states = [runner.run(raises(ValueError("no"))) for _ in range(3)]

    assert states == [JobState.SCHEDULED, JobState.SCHEDULED, JobState.FAILED]


def test_an_error_that_is_not_to_be_retried_fails_the_job() -> None:
    assert AttemptRunner().run(raises(NonRetryableError("closed account"))) is JobState.FAILED


@pytest.mark.parametrize("error", [SystemExit(3), SystemExit(), asyncio.CancelledError()])
def test_a_handler_that_tries_to_end_more_than_itself_is_an_error_like_any_other(
    error: BaseException,
) -> None:
    runner = AttemptRunner()

    state = runner.run(raises(error))

    assert (state, runner.job.errors) == (JobState.SCHEDULED, 1)


def test_a_handler_that_sleeps_gives_the_job_back() -> None:
    state = AttemptRunner().run(lambda ctx: ctx.sleep("nap", timedelta(hours=1)))

    assert state is JobState.SCHEDULED


def test_a_handler_that_breaks_the_rules_of_steps_is_held() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        ctx.run("step", lambda: 1)
        ctx.run("step", lambda: 1)

    assert runner.run(body) is JobState.HELD


def test_a_handler_that_was_cancelled_stops_at_its_next_step() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        runner.ledger.cancel(runner.job_id, "somebody")
        ctx.run("step", lambda: 1)

    assert runner.run(body) is JobState.CANCELLED


def test_a_handler_that_fails_after_it_was_cancelled_is_cancelled() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        runner.ledger.cancel(runner.job_id, "somebody")
        raise ValueError

    assert runner.run(body) is JobState.CANCELLED


def test_a_fenced_attempt_records_nothing_and_says_so() -> None:
    runner = AttemptRunner()

    state = runner.run(lambda ctx: runner.offer_again() and None)

    assert state is None
    assert (runner.state, runner.job.result) == (JobState.OFFERED, None)
    assert runner.events.kinds == ["job.fenced"]


def test_a_job_that_is_unknown_here_is_given_back() -> None:
    runner = AttemptRunner()

    state = runner.run()

    assert (state, runner.job.releases, runner.job.errors) == (JobState.SCHEDULED, 1, 0)


def test_a_job_that_is_declared_and_not_bound_here_is_given_back() -> None:
    runner = AttemptRunner()
    runner.definitions = [declare_job("welcome", payload=Mail, retry=RETRY)]

    state = runner.executor.run(runner.claim(), Lease())

    assert (state, runner.job.releases) == (JobState.SCHEDULED, 1)


def test_an_attempt_waits_for_a_ledger_that_is_away_for_a_while() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        runner.ledger.fail_next(3)
        return ctx.run("step", lambda: "done")

    state = runner.run(body)

    assert (state, runner.step_names) == (JobState.SUCCEEDED, ["step"])
    assert len(runner.clock.slept) == 3


def test_an_end_waits_for_a_ledger_that_is_away_for_a_while() -> None:
    runner = AttemptRunner()

    state = runner.run(lambda ctx: runner.ledger.fail_next(5))

    assert state is JobState.SUCCEEDED


@pytest.mark.parametrize("lost_after", ["begin", "record", "conclude"])
def test_a_reply_of_the_ledger_that_was_lost_repeats_nothing(lost_after: str) -> None:
    runner, calls = AttemptRunner(), []

    def step() -> int:
        if lost_after == "record":
            runner.ledger.lose_replies()
        calls.append(1)
        return len(calls)

    def body(ctx: JobContext) -> int:
        if lost_after == "begin":
            runner.ledger.lose_replies()
        result = ctx.run("step", step)
        if lost_after == "conclude":
            runner.ledger.lose_replies()
        return result

    assert runner.run(body) is JobState.SUCCEEDED
    assert (len(calls), runner.job.result) == (1, "1")


def test_an_attempt_whose_lease_ran_out_waits_no_longer_for_the_ledger() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        runner.ledger.down()
        runner.lease.revoke(Fenced)

    state = runner.run(body)
    runner.ledger.up()

    assert (state, runner.state) == (None, JobState.RUNNING)


def test_an_end_that_happened_elsewhere_is_recorded() -> None:
    runner = AttemptRunner()

    state = runner.executor.conclude(runner.claim(), Conclusion(CRASH, reason="SIGKILL"), Lease())

    assert (state, runner.job.crashes) == (JobState.SCHEDULED, 1)
    assert runner.events.kinds == ["job.crash"]


def test_an_end_that_happened_elsewhere_and_too_late_is_not() -> None:
    runner = AttemptRunner()
    claim = runner.claim()
    runner.offer_again()

    state = runner.executor.conclude(claim, Conclusion(CRASH), Lease())

    assert (state, runner.events.kinds) == (None, ["job.fenced"])


def test_an_end_is_reported_with_its_duration_and_its_reason() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        runner.clock.advance(timedelta(seconds=2.5))
        raise ValueError

    runner.run(body)

    (event,) = runner.events
    assert (event.kind, event.job_id, event.engine) == ("job.retry", runner.job_id, "rq")
    assert event.detail["duration_s"] == 2.5
    assert (event.detail["reason"], event.detail["state"]) == ("ValueError", "scheduled")
    assert event.error is None


def test_the_traceback_is_reported_once_when_the_job_has_failed() -> None:
    runner = AttemptRunner()

    runner.run(raises(NonRetryableError("closed account")))

    (event,) = runner.events
    assert event.kind == "job.fail"
    assert event.error is not None
    assert event.error.message == "closed account"


def _double(payload: Mail, ctx: JobContext) -> int:
    return payload.user_id * 2
