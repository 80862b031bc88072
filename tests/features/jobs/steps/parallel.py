"""Jobs whose steps run side by side."""

import threading

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import AsyncJobContext, JobContext, RetryPolicy, job
from tests.features.queues import QUEUE
from tests.servers.processes import PATIENCE

POLICY = RetryPolicy(max_attempts=2, wait=wait_none())


class Sides(BaseModel):
    """How many sides there are; the first attempt fails at one of them."""

    count: int
    fails: int


def work(side: int, attempt: int, fails: int) -> list[int]:
    """Return the side and the attempt that did it."""
    if attempt == 1 and side == fails:
        raise ConnectionError("cut off")
    return [side, attempt]


@job(name="parallel-sides", queue=QUEUE.name, retry=POLICY)
def parallel_sides(payload: Sides, ctx: JobContext) -> list[list[int]]:
    """Do all sides; they meet, so they run at the same time."""
    met = threading.Barrier(payload.count)

    def meet(side: int) -> list[int]:
        if ctx.attempt == 1:
            met.wait(PATIENCE)
        return work(side, ctx.attempt, payload.fails)

    return list(ctx.parallel(*(ctx.branch(f"side {n}", meet, n) for n in range(payload.count))))


@job(name="parallel-async-sides", queue=QUEUE.name, retry=POLICY)
async def parallel_async_sides(payload: Sides, ctx: AsyncJobContext) -> list[list[int]]:
    """Do the same in an async job."""
    sides = (
        ctx.branch(f"side {n}", work, n, ctx.attempt, payload.fails) for n in range(payload.count)
    )
    return list(await ctx.parallel(*sides))
