"""Retry policies: pure arithmetic on top of tenacity's wait strategies."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random
from tenacity.wait import wait_base

from understudy.job_engine.errors import DefinitionError, NonRetryableError, RetryAfterError

Wait = wait_base | Callable[[RetryCallState], float]

# A waiting time is asked for by attempt number alone; tenacity wants a whole call state.
_NO_CALL = Retrying()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Decide whether and when a job that raised is tried again.

    Attributes:
        max_attempts: How many attempts may end in an exception; 1 means no retry. Crashes and
            hand-overs have budgets of their own (rule 18).
        wait: Any tenacity wait strategy. The default waits about 5, 10, 20, 40 seconds and so on,
            plus up to a second of jitter, never more than an hour.
        non_retryable: Exception classes that fail the job at once, `NonRetryableError` besides.
    """

    max_attempts: int = 3
    wait: Wait = field(
        default_factory=lambda: wait_exponential(multiplier=5, max=3600) + wait_random(0, 1)
    )
    non_retryable: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a policy that allows no attempt at all."""
        if self.max_attempts < 1:
            raise DefinitionError(f"expected max_attempts of at least 1, got {self.max_attempts}")

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
        return timedelta(seconds=max(0.0, self.wait(_state(failed_attempts, error))))


def _state(attempt_number: int, error: Exception) -> RetryCallState:
    state = RetryCallState(_NO_CALL, None, (), {})
    state.attempt_number = attempt_number
    state.set_exception((type(error), error, error.__traceback__))
    return state
