"""Running one attempt to its end, whichever that is."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.errors import NonRetryableError
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import CRASH, JobState
from failsoft.job_engine.steps.context import JobContext
from tests.unit.support.attempts import RETRY, Mail, Stage


def raises(error: BaseException) -> Any:
    def body(ctx: JobContext) -> None:
        raise error

    return body


def test_a_handler_gets_its_payload_and_its_result_is_recorded() -> None:
    stage = Stage()
    stage.definitions = [declare_job("welcome", payload=Mail, result=int, retry=RETRY)]
    stage.definitions = [stage.definitions[0].bind(_double)]

    state = stage.executor.run(stage.claim(), Lease())

    assert (state, stage.job.result) == (JobState.SUCCEEDED, "14")


def test_a_handler_that_raises_is_tried_again_later() -> None:
    stage = Stage()

    state = stage.run(raises(ValueError("no such user")))

    assert (state, stage.job.errors) == (JobState.SCHEDULED, 1)
    assert stage.job.run_at == stage.clock.now() + timedelta(seconds=5)
    assert stage.job.error is not None
    assert stage.job.error.message == "no such user"


def test_a_handler_that_raises_too_often_fails_the_job() -> None:
    stage = Stage()

    states = [stage.run(raises(ValueError("no"))) for _ in range(3)]

    assert states == [JobState.SCHEDULED, JobState.SCHEDULED, JobState.FAILED]


def test_an_error_that_is_not_to_be_retried_fails_the_job() -> None:
    assert Stage().run(raises(NonRetryableError("closed account"))) is JobState.FAILED


@pytest.mark.parametrize("error", [SystemExit(3), SystemExit(), asyncio.CancelledError()])
def test_a_handler_that_wants_to_end_more_than_itself_is_an_error_like_any_other(
    error: BaseException,
) -> None:
    stage = Stage()

    state = stage.run(raises(error))

    assert (state, stage.job.errors) == (JobState.SCHEDULED, 1)


def test_a_handler_that_sleeps_gives_the_job_back() -> None:
    state = Stage().run(lambda ctx: ctx.sleep("nap", timedelta(hours=1)))

    assert state is JobState.SCHEDULED


def test_a_handler_that_breaks_the_rules_of_steps_is_held() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> None:
        ctx.run("step", lambda: 1)
        ctx.run("step", lambda: 1)

    assert stage.run(body) is JobState.HELD


def test_a_handler_that_was_cancelled_stops_at_its_next_step() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> None:
        stage.ledger.cancel(stage.job_id, "somebody")
        ctx.run("step", lambda: 1)

    assert stage.run(body) is JobState.CANCELLED


def test_a_handler_that_fails_after_it_was_cancelled_is_cancelled() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> None:
        stage.ledger.cancel(stage.job_id, "somebody")
        raise ValueError

    assert stage.run(body) is JobState.CANCELLED


def test_a_fenced_attempt_records_nothing_and_says_so() -> None:
    stage = Stage()

    state = stage.run(lambda ctx: stage.offer_again() and None)

    assert state is None
    assert (stage.state, stage.job.result) == (JobState.OFFERED, None)
    assert stage.heard.kinds == ["job.fenced"]


def test_a_job_that_nobody_here_knows_is_given_back() -> None:
    stage = Stage()

    state = stage.run()

    assert (state, stage.job.releases, stage.job.errors) == (JobState.SCHEDULED, 1, 0)


def test_a_job_that_is_declared_and_not_bound_here_is_given_back() -> None:
    stage = Stage()
    stage.definitions = [declare_job("welcome", payload=Mail, retry=RETRY)]

    state = stage.executor.run(stage.claim(), Lease())

    assert (state, stage.job.releases) == (JobState.SCHEDULED, 1)


def test_an_attempt_waits_for_a_ledger_that_is_away_for_a_while() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> str:
        stage.ledger.fail_next(3)
        return ctx.run("step", lambda: "done")

    state = stage.run(body)

    assert (state, stage.step_names) == (JobState.SUCCEEDED, ["step"])
    assert len(stage.clock.slept) == 3


def test_an_end_waits_for_a_ledger_that_is_away_for_a_while() -> None:
    stage = Stage()

    state = stage.run(lambda ctx: stage.ledger.fail_next(5))

    assert state is JobState.SUCCEEDED


@pytest.mark.parametrize("lost_after", ["begin", "record", "conclude"])
def test_a_reply_of_the_ledger_that_was_lost_repeats_nothing(lost_after: str) -> None:
    stage, calls = Stage(), []

    def step() -> int:
        if lost_after == "record":
            stage.ledger.lose_replies()
        calls.append(1)
        return len(calls)

    def body(ctx: JobContext) -> int:
        if lost_after == "begin":
            stage.ledger.lose_replies()
        result = ctx.run("step", step)
        if lost_after == "conclude":
            stage.ledger.lose_replies()
        return result

    assert stage.run(body) is JobState.SUCCEEDED
    assert (len(calls), stage.job.result) == (1, "1")


def test_an_attempt_whose_lease_ran_out_waits_no_longer_for_the_ledger() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> None:
        stage.ledger.down()
        stage.lease.revoke(Fenced)

    state = stage.run(body)
    stage.ledger.up()

    assert (state, stage.state) == (None, JobState.RUNNING)


def test_an_end_that_happened_elsewhere_is_recorded() -> None:
    stage = Stage()

    state = stage.executor.conclude(stage.claim(), Conclusion(CRASH, reason="SIGKILL"), Lease())

    assert (state, stage.job.crashes) == (JobState.SCHEDULED, 1)
    assert stage.heard.kinds == ["job.crash"]


def test_an_end_that_happened_elsewhere_and_too_late_is_not() -> None:
    stage = Stage()
    claim = stage.claim()
    stage.offer_again()

    state = stage.executor.conclude(claim, Conclusion(CRASH), Lease())

    assert (state, stage.heard.kinds) == (None, ["job.fenced"])


def test_an_end_is_told_with_its_duration_and_its_reason() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> None:
        stage.clock.advance(timedelta(seconds=2.5))
        raise ValueError

    stage.run(body)

    (event,) = stage.heard
    assert (event.kind, event.job_id, event.engine) == ("job.retry", stage.job_id, "rq")
    assert event.detail["duration_s"] == 2.5
    assert (event.detail["reason"], event.detail["state"]) == ("ValueError", "scheduled")
    assert event.error is None


def test_the_traceback_is_told_once_when_the_job_has_failed() -> None:
    stage = Stage()

    stage.run(raises(NonRetryableError("closed account")))

    (event,) = stage.heard
    assert event.kind == "job.fail"
    assert event.error is not None
    assert event.error.message == "closed account"


def _double(payload: Mail, ctx: JobContext) -> int:
    return payload.user_id * 2
