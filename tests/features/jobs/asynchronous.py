"""`async def` jobs."""

import asyncio
from datetime import timedelta

from pydantic import BaseModel
from tenacity import wait_none

from tests.features.lane import LANE
from understudy.job_engine import AsyncJobContext, RetryPolicy, job

LIMIT = timedelta(milliseconds=50)


class Numbers(BaseModel):
    """What to add up."""

    numbers: list[int]


async def double(number: int) -> int:
    """Return twice the number, a moment later."""
    await asyncio.sleep(0.001)
    return 2 * number


@job(name="async-sum", queue=LANE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
async def async_sum(payload: Numbers, ctx: AsyncJobContext) -> int:
    """Return the sum of the doubles; fail once half-way, sleep once."""
    doubled = [await ctx.run(f"double {n}", double, n) for n in payload.numbers]
    await ctx.sleep("nap", timedelta(milliseconds=50))
    if ctx.attempt == 2:
        raise ConnectionError("cut off")
    return await ctx.run("add", sum, doubled)


@job(
    name="async-slow",
    queue=LANE.name,
    timeout=timedelta(milliseconds=200),
    retry=RetryPolicy(max_attempts=1),
)
async def async_slow(payload: Numbers, ctx: AsyncJobContext) -> None:
    """Wait longer than an attempt may take."""
    await ctx.run("wait", asyncio.sleep, 60)
