"""Retry policies: pure arithmetic on top of tenacity's wait strategies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random
from tenacity.wait import wait_base

from failsoft.job_engine.errors import DefinitionError, NonRetryableError, RetryAfterError
from failsoft.job_engine.validation import LONGEST, Expect

Wait = wait_base | Callable[[RetryCallState], float] | Sequence[timedelta]

#: The most attempts of a job, or tries of a step.
MAX_ATTEMPTS = 1_000_000

# A waiting time depends on the attempt number alone; tenacity requires a whole call state.
_NO_CALL = Retrying()
_EXPECT = Expect(DefinitionError, "retry policy: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Decide whether and when a job that raised is tried again.

    Attributes:
        max_attempts: How many attempts may end in an exception; 1 means no retry. Crashes and
            hand-overs have budgets of their own (rule 18).
        wait: The pauses as a list, the last of which holds for all attempts after it; or any
            tenacity wait strategy, or a function of its own kind, which returns seconds. The
            default waits about 5, 10, 20, 40 seconds and so on, plus up to a second of jitter,
            never more than an hour.
        non_retryable: Exception classes that fail the job at once, `NonRetryableError` besides.
    """

    max_attempts: int = 3
    wait: Wait = field(
        default_factory=lambda: wait_exponential(multiplier=5, max=3600) + wait_random(0, 1)
    )
    non_retryable: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a policy that allows no attempt at all, or cannot say how long to wait."""
        _EXPECT.whole("max_attempts", self.max_attempts, least=1, most=MAX_ATTEMPTS)
        _check_wait(self.wait)
        expected = "non_retryable as a tuple of exception classes"
        _EXPECT.value(_are_exceptions(self.non_retryable), expected, self.non_retryable)

    def delay(self, failed_attempts: int, error: Exception) -> timedelta | None:
        """Return how long to wait after the given failure, or None to give up.

        Args:
            failed_attempts: How many attempts have failed by now, this one included.
            error: What the last one raised.
        """
        if isinstance(error, (NonRetryableError, *self.non_retryable)):
            return None
        if failed_attempts >= self.max_attempts:
            return None
        if isinstance(error, RetryAfterError):
            return error.delay
        if isinstance(self.wait, Sequence):
            return self.wait[min(failed_attempts, len(self.wait)) - 1]
        seconds = self.wait(_state(failed_attempts, error))
        return timedelta(seconds=min(max(0.0, seconds), LONGEST.total_seconds()))


def _check_wait(wait: object) -> None:
    if isinstance(wait, Sequence) and not isinstance(wait, str):
        _EXPECT.value(wait, "a wait with at least one pause", wait)
        for pause in wait:
            _EXPECT.span("each pause", pause, zero=True)
        return
    todo = "write [timedelta(seconds=...)], or wait_fixed(...)"
    _EXPECT.value(callable(wait), "wait as a list of timedeltas or a wait strategy", wait, todo)


def _are_exceptions(classes: object) -> bool:
    return isinstance(classes, tuple) and all(
        isinstance(each, type) and issubclass(each, Exception) for each in classes
    )


def _state(attempt_number: int, error: Exception) -> RetryCallState:
    state = RetryCallState(_NO_CALL, None, (), {})
    state.attempt_number = attempt_number
    state.set_exception((type(error), error, error.__traceback__))
    return state
