"""Jobs that sleep, and jobs that take too long."""

from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

from pydantic import BaseModel

from failsoft.job_engine import JobContext, RetryPolicy, job
from tests.features.queues import QUEUE


class Nap(BaseModel):
    """How long to sleep, and whether to dawdle afterwards."""

    span: timedelta
    dawdles: bool = False


@job(
    name="timing-nap",
    queue=QUEUE.name,
    retry=RetryPolicy(max_attempts=1),
    timeout=timedelta(seconds=1),
)
def napping(payload: Nap, ctx: JobContext) -> list[object]:
    """Return the attempt that woke, and whether it slept long enough."""
    began = ctx.now()
    ctx.sleep("nap", payload.span)
    until = monotonic() + 5
    while payload.dawdles and monotonic() < until:
        sleep(0.005)
    return [ctx.attempt, ctx.run("look", _slept, began.isoformat(), payload.span.total_seconds())]


def _slept(began: str, seconds: float) -> bool:
    return (datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds() >= seconds


class Alarm(BaseModel):
    """When to wake."""

    moment: datetime


@job(name="timing-alarm", queue=QUEUE.name, retry=RetryPolicy(max_attempts=1))
def until_the_alarm(payload: Alarm, ctx: JobContext) -> list[object]:
    """Return the attempt that woke, and whether that was not before the alarm."""
    ctx.sleep_until("sleep", payload.moment)
    return [ctx.attempt, ctx.run("look", lambda: datetime.now(UTC) >= payload.moment)]
