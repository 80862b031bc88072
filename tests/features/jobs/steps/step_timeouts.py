"""Jobs whose steps may take only so long."""

from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import JobContext, RetryPolicy, job
from tests.features.queues import QUEUE

LIMIT = timedelta(milliseconds=50)


class Dawdling(BaseModel):
    """How many tries dawdle, and whether they swallow what interrupts them."""

    tries: int
    swallows: bool = False
    once: bool = False


@job(name="step-timeouts", queue=QUEUE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
def step_timeouts(payload: Dawdling, ctx: JobContext) -> list[int]:
    """Return how often the step was tried, in this attempt and as which."""
    tries = [0]
    retry = None if payload.once else RetryPolicy(max_attempts=2, wait=wait_none())

    def work() -> int:
        tries[0] += 1
        if tries[0] + (ctx.attempt - 1) * 2 <= payload.tries:
            _dawdle(swallows=payload.swallows)
        return tries[0]

    return [ctx.attempt, ctx.run("work", work, timeout=LIMIT, retry=retry, once=payload.once)]


def _dawdle(*, swallows: bool) -> None:
    until = monotonic() + 5
    with suppress(BaseException if swallows else ZeroDivisionError):
        while monotonic() < until:
            sleep(0.005)
