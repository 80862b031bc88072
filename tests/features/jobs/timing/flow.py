"""Jobs that wait for each other."""

from pydantic import BaseModel

from failsoft.job_engine import GroupResult, JobContext, NonRetryableError, job
from tests.features.queues import QUEUE


class FlowNumber(BaseModel):
    """A number, which the job before may have found."""

    number: int = 0


@job(name="flow-double", queue=QUEUE.name)
def flow_double(payload: FlowNumber, ctx: JobContext) -> int:
    """Double a number; none below zero."""
    if payload.number < 0:
        raise NonRetryableError("below zero")
    return 2 * payload.number


@job(name="flow-gather", queue=QUEUE.name)
def flow_gather(payload: GroupResult, ctx: JobContext) -> list[int]:
    """Say how a group ended."""
    return [payload.total, payload.succeeded, payload.failed]
