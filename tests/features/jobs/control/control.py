"""Jobs that fail, and jobs that are paused."""

from pathlib import Path

from pydantic import BaseModel

from failsoft.job_engine import JobContext, RetryPolicy, job
from tests.features.queues import QUEUE

ONCE = RetryPolicy(max_attempts=1)


class Parcel(BaseModel):
    """A parcel, and the file without which it cannot be sent."""

    number: int
    stamp: Path


def weigh(number: int) -> int:
    """Return the weight."""
    return number * 10


def send(stamp: Path, key: str) -> str:
    """Fail without a stamp."""
    if not stamp.exists():
        raise FileNotFoundError(f"no stamp: {stamp.name}")
    return key


@job(name="control-parcel", queue=QUEUE.name, retry=ONCE)
def control_parcel(payload: Parcel, ctx: JobContext) -> list[str]:
    """Weigh a parcel, and send it."""
    weight = ctx.run("weigh", weigh, payload.number)
    sent = ctx.run("send", send, payload.stamp, ctx.idempotency_key("send"))
    return [f"{weight} g", sent]


@job(name="control-paused", queue=QUEUE.name, retry=ONCE)
def control_paused(payload: Parcel, ctx: JobContext) -> int:
    """Return the number of the parcel."""
    return payload.number
