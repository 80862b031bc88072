"""What an attempt's end means for its job."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from failsoft.job_engine import NonRetryableError, RetryPolicy, outcome
from failsoft.job_engine.attempt.interrupts import (
    CancelRequested,
    Fenced,
    HoldRequested,
    Released,
    Suspended,
    TimedOut,
)
from failsoft.job_engine.errors import NonDeterministicJobError
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord
from failsoft.job_engine.records.states import (
    CRASH,
    CRASH_OUT,
    FAIL,
    HOLD,
    RELEASE,
    STOP,
    SUCCEED,
    SUSPEND,
)
from failsoft.job_engine.records.states import RETRY as RETRYING
from tests.unit.support.attempts import RETRY, define

JOB = define(lambda ctx: None)
CLAIM = Claim(
    job_id="job-1",
    epoch=1,
    claim_id="c1",
    engine="rq",
    worker="worker-1",
    name="welcome",
    queue="default",
    payload="{}",
    attempt=1,
    errors=0,
    crashes=0,
    releases=0,
    lease=timedelta(minutes=1),
)
NAP = StepRecord("nap", 0, StepKind.SLEEP, '"for 1:00:00"')


class StubbornError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even to say what is wrong goes wrong")


def raise_and_catch(error: Exception) -> Exception:
    try:
        _raise(error)
    except Exception as caught:  # noqa: BLE001 - it must have a traceback
        return caught
    raise AssertionError


def _raise(error: Exception) -> None:
    raise error


def test_a_handler_that_returned_succeeded() -> None:
    conclusion = outcome.succeeded(JOB, {"sent": True})

    assert (conclusion.transition, conclusion.result) == (SUCCEED, '{"sent":true}')


def test_a_handler_that_returned_what_json_cannot_carry_is_held() -> None:
    conclusion = outcome.succeeded(JOB, object())

    assert (conclusion.transition, conclusion.reason) == (HOLD, "result invalid")
    assert conclusion.error is not None


def test_a_handler_that_raised_is_tried_again_after_its_delay() -> None:
    conclusion = outcome.raised(JOB, CLAIM, ValueError("no"))

    assert (conclusion.transition, conclusion.delay) == (RETRYING, timedelta(seconds=5))
    assert (conclusion.reason, conclusion.result) == ("ValueError", None)


def test_the_error_is_recorded_with_its_traceback_and_without_local_values() -> None:
    secret = "hunter2-canary"  # noqa: F841 - a local value

    conclusion = outcome.raised(JOB, CLAIM, raise_and_catch(ValueError("no such user")))

    assert conclusion.error is not None
    assert (conclusion.error.type, conclusion.error.message) == ("ValueError", "no such user")
    assert "raise_and_catch" in conclusion.error.traceback
    assert "hunter2" not in conclusion.error.traceback


def test_a_long_error_is_cut_and_its_end_stays() -> None:
    conclusion = outcome.raised(JOB, CLAIM, raise_and_catch(ValueError("x" * 100_000 + "THE END")))

    assert conclusion.error is not None
    assert len(conclusion.error.message) <= 2000
    assert len(conclusion.error.traceback) <= 16 * 1024
    assert conclusion.error.traceback.rstrip().endswith("THE END")


def test_an_error_that_cannot_be_shown_is_recorded_all_the_same() -> None:
    conclusion = outcome.raised(JOB, CLAIM, raise_and_catch(StubbornError()))

    assert conclusion.transition is RETRYING
    assert conclusion.error is not None
    assert conclusion.error.type.endswith("StubbornError")


def test_errors_of_earlier_attempts_count() -> None:
    transitions = [
        outcome.raised(JOB, replace(CLAIM, errors=errors), ValueError()).transition
        for errors in range(4)
    ]

    assert transitions == [RETRYING, RETRYING, FAIL, FAIL]


def test_crashes_and_releases_burn_no_attempt() -> None:
    claim = replace(CLAIM, crashes=2, releases=9, attempt=12)

    assert outcome.raised(JOB, claim, ValueError()).transition is RETRYING


def test_an_error_that_is_not_to_be_retried_fails_at_once() -> None:
    conclusion = outcome.raised(JOB, CLAIM, NonRetryableError("closed account"))

    assert (conclusion.transition, conclusion.reason) == (FAIL, "no attempt left")


def test_a_retry_policy_that_breaks_does_not_take_the_outcome_with_it() -> None:
    def broken(state: object) -> float:
        raise ZeroDivisionError

    job = define(lambda ctx: None, retry=RetryPolicy(wait=broken))

    conclusion = outcome.raised(job, CLAIM, ValueError("no"))

    assert conclusion.transition in (RETRYING, FAIL)
    assert conclusion.error is not None


def test_a_sleep_is_recorded_with_the_suspension() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)

    conclusion = outcome.interrupted(JOB, CLAIM, Suspended(NAP, timedelta(hours=1), moment))

    assert (conclusion.transition, conclusion.step) == (SUSPEND, NAP)
    assert (conclusion.delay, conclusion.run_at) == (timedelta(hours=1), moment)


def test_a_cancel_request_stops_the_job() -> None:
    assert outcome.interrupted(JOB, CLAIM, CancelRequested()).transition is STOP


def test_a_worker_that_stops_gives_the_job_back_at_once() -> None:
    conclusion = outcome.interrupted(JOB, CLAIM, Released())

    assert (conclusion.transition, conclusion.delay) == (RELEASE, timedelta(0))
    assert conclusion.reason == "worker stops"


def test_an_attempt_that_ran_too_long_counts_as_an_error() -> None:
    conclusion = outcome.interrupted(JOB, CLAIM, TimedOut())

    assert conclusion.transition is RETRYING
    assert conclusion.error is not None
    assert "0:05:00" in conclusion.error.message


def test_the_last_attempt_that_ran_too_long_fails_the_job() -> None:
    claim = replace(CLAIM, errors=RETRY.max_attempts - 1)

    assert outcome.timed_out(JOB, claim).transition is FAIL


def test_a_job_whose_code_changed_is_held_with_the_reason() -> None:
    cause = NonDeterministicJobError("the code changed")

    conclusion = outcome.interrupted(JOB, CLAIM, HoldRequested(cause))

    assert (conclusion.transition, conclusion.reason) == (HOLD, "the code changed")
    assert conclusion.error is not None
    assert conclusion.error.type.endswith("NonDeterministicJobError")


def test_a_fenced_attempt_has_no_conclusion() -> None:
    with pytest.raises(Fenced):
        outcome.interrupted(JOB, CLAIM, Fenced())


def test_a_process_that_died_is_tried_again_a_little_later_each_time() -> None:
    conclusions = [outcome.crashed(replace(CLAIM, crashes=n), "killed by SIGKILL") for n in (0, 1)]

    assert [c.transition for c in conclusions] == [CRASH, CRASH]
    assert [c.delay for c in conclusions] == [timedelta(seconds=1), timedelta(seconds=2)]
    assert conclusions[0].reason == "killed by SIGKILL"


def test_the_third_death_is_a_crash_loop() -> None:
    conclusion = outcome.crashed(replace(CLAIM, crashes=2), "killed by SIGKILL")

    assert (conclusion.transition, conclusion.reason) == (CRASH_OUT, "crash loop")
    assert conclusion.error is not None
    assert "SIGKILL" in conclusion.error.message


def test_an_unknown_job_is_given_back_so_that_a_newer_worker_may_find_it() -> None:
    conclusion = outcome.unknown(CLAIM)

    assert (conclusion.transition, conclusion.delay) == (RELEASE, timedelta(seconds=5))


def test_a_job_that_no_worker_has_the_code_of_waits_for_one_however_long() -> None:
    delays = [outcome.unknown(replace(CLAIM, releases=n)) for n in (0, 1, 2, 9, 100_000)]

    assert {conclusion.transition for conclusion in delays} == {RELEASE}
    minutes = [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20)]
    assert [each.delay for each in delays] == [*minutes, *[timedelta(minutes=5)] * 2]
