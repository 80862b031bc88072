"""Jobs that go through many items in batches."""

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import JobContext, RetryPolicy, job
from tests.features.queues import QUEUE


class Numbers(BaseModel):
    """Some numbers, and the batch at which the first attempt fails."""

    count: int
    fail_at: int = 0


@job(name="batches-sum", queue=QUEUE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
def batches_sum(payload: Numbers, ctx: JobContext) -> list[int]:
    """Return the first number of each batch that this attempt went through."""
    seen = []
    for batch in ctx.batches("add", range(payload.count), size=2):
        if ctx.attempt == 1 and batch[0] == payload.fail_at:
            raise RuntimeError("cut off")
        seen.append(batch[0])
    return seen
