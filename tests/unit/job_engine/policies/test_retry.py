"""Retry policies."""

from datetime import timedelta

import pytest
import tenacity

from failsoft.job_engine import NonRetryableError, RetryAfterError, RetryPolicy
from failsoft.job_engine.errors import DefinitionError

BROKEN = RuntimeError("broken")
MANY = 1000


def in_seconds(delay: timedelta | None) -> float:
    assert delay is not None
    return delay.total_seconds()


@pytest.mark.parametrize(("failed", "at_least"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80)])
def test_the_default_doubles_from_five_seconds_with_up_to_a_second_of_jitter(
    failed: int, at_least: int
) -> None:
    delay = RetryPolicy(max_attempts=MANY).delay(failed, BROKEN)

    assert at_least <= in_seconds(delay) <= at_least + 1


def test_the_default_never_waits_longer_than_an_hour_and_its_jitter() -> None:
    delays = [RetryPolicy(max_attempts=MANY).delay(failed, BROKEN) for failed in (11, 40, 999)]

    assert all(3600 <= in_seconds(delay) <= 3601 for delay in delays)


def test_the_default_gives_up_after_the_third_failure() -> None:
    delays = [RetryPolicy().delay(failed, BROKEN) for failed in (1, 2, 3, 4)]

    assert [delay is None for delay in delays] == [False, False, True, True]


def test_one_attempt_means_no_retry() -> None:
    assert RetryPolicy(max_attempts=1).delay(1, BROKEN) is None


@pytest.mark.parametrize("attempts", [0, -1])
def test_a_policy_without_any_attempt_is_refused(attempts: int) -> None:
    with pytest.raises(DefinitionError, match="max_attempts from 1"):
        RetryPolicy(max_attempts=attempts)


def test_a_job_may_refuse_to_be_tried_again() -> None:
    assert RetryPolicy().delay(1, NonRetryableError("no such account")) is None


def test_listed_exceptions_and_their_kinds_are_not_tried_again() -> None:
    policy = RetryPolicy(non_retryable=(LookupError,))

    assert policy.delay(1, KeyError("k")) is None
    assert policy.delay(1, BROKEN) is not None


def test_a_job_may_say_when_to_try_again() -> None:
    error = RetryAfterError(timedelta(minutes=7))

    assert RetryPolicy().delay(1, error) == timedelta(minutes=7)


def test_who_says_when_to_try_again_gets_no_more_attempts_than_others() -> None:
    error = RetryAfterError(timedelta(minutes=7))

    assert RetryPolicy(max_attempts=2).delay(2, error) is None


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (tenacity.wait_fixed(3), [3, 3, 3]),
        (tenacity.wait_none(), [0, 0, 0]),
        (tenacity.wait_incrementing(start=1, increment=2), [1, 3, 5]),
        (tenacity.wait_exponential(multiplier=1), [1, 2, 4]),
        (tenacity.wait_chain(*map(tenacity.wait_fixed, (1, 5, 9))), [1, 5, 9]),
        (tenacity.wait_fixed(1) + tenacity.wait_fixed(2), [3, 3, 3]),
        (lambda state: state.attempt_number * 10.0, [10, 20, 30]),
        (lambda state: -1.0, [0, 0, 0]),
    ],
)
def test_any_wait_strategy_decides_by_the_number_of_failures(
    wait: tenacity.wait.wait_base, expected: list[float]
) -> None:
    policy = RetryPolicy(max_attempts=MANY, wait=wait)

    assert [in_seconds(policy.delay(failed, BROKEN)) for failed in (1, 2, 3)] == expected


def test_a_wait_strategy_may_look_at_the_exception() -> None:
    policy = RetryPolicy(wait=tenacity.wait_exception(lambda error: 42 if error is BROKEN else 1))

    assert in_seconds(policy.delay(1, BROKEN)) == 42


def test_the_waiting_time_of_one_failure_does_not_depend_on_those_before() -> None:
    policy = RetryPolicy(max_attempts=MANY, wait=tenacity.wait_exponential(multiplier=1))
    policy.delay(9, BROKEN)

    assert in_seconds(policy.delay(1, BROKEN)) == 1
