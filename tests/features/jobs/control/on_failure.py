"""A job that fails, and the one that its failure starts."""

from pydantic import BaseModel

from failsoft.job_engine import JobContext, JobFailure, NonRetryableError, job
from tests.features.queues import QUEUE


class Charge(BaseModel):
    """What is to be charged, if anything."""

    amount: int
    engine: str


@job(name="on-failure-tell", queue=QUEUE.name)
def on_failure_tell(payload: JobFailure, ctx: JobContext) -> str:
    """Say what failed."""
    return f"{payload.payload['amount']}: {payload.error_message} after {payload.attempts}"


@job(name="on-failure-charge", queue=QUEUE.name, on_failure=on_failure_tell)
def on_failure_charge(payload: Charge, ctx: JobContext) -> int:
    """Charge, if there is anything to charge."""
    if payload.amount < 1:
        raise NonRetryableError("nothing to charge")
    return payload.amount
