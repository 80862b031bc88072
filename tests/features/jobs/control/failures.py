"""Jobs that fail so often, and then do not; how they are tried again is what is tested."""

from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine import (
    JobContext,
    NonRetryableError,
    RetryAfterError,
    RetryPolicy,
    job,
)
from tests.features.queues import QUEUE

A_LITTLE = timedelta(milliseconds=50)
LATER = timedelta(milliseconds=350)


class Trouble(BaseModel):
    """How many attempts fail, and how."""

    failures: int
    says: str = ""


@job(
    name="failing-listed",
    queue=QUEUE.name,
    retry=RetryPolicy(max_attempts=4, wait=[A_LITTLE, LATER], non_retryable=(LookupError,)),
)
def failing(payload: Trouble, ctx: JobContext) -> int:
    """Return the attempt that did not fail."""
    if ctx.attempt <= payload.failures:
        fail(payload.says, ctx.attempt)
    return ctx.attempt


def fail(says: str, attempt: int) -> None:
    """Raise what the payload says."""
    match says:
        case "never":
            raise NonRetryableError(f"attempt {attempt}: never again")
        case "gone":
            raise KeyError(f"attempt {attempt}")
        case "later":
            raise RetryAfterError(LATER)
        case _:
            raise ConnectionError(f"attempt {attempt}: hung up")
