"""`async def` jobs."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import AsyncJobContext, RetryPolicy, job
from tests.features.queues import QUEUE

LIMIT = timedelta(milliseconds=50)


class Numbers(BaseModel):
    """What to add up."""

    numbers: list[int]


async def double(number: int) -> int:
    """Return twice the number, a moment later."""
    await asyncio.sleep(0.001)
    return 2 * number


@job(name="async-sum", queue=QUEUE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
async def async_sum(payload: Numbers, ctx: AsyncJobContext) -> int:
    """Return the sum of the doubles; fail once half-way, sleep once."""
    doubled = [await ctx.run(f"double {n}", double, n) for n in payload.numbers]
    await ctx.sleep("nap", timedelta(milliseconds=50))
    if ctx.attempt == 2:
        raise ConnectionError("cut off")
    return await ctx.run("add", sum, doubled)


@job(
    name="async-slow",
    queue=QUEUE.name,
    timeout=timedelta(milliseconds=200),
    retry=RetryPolicy(max_attempts=1),
)
async def async_slow(payload: Numbers, ctx: AsyncJobContext) -> None:
    """Wait longer than an attempt may take."""
    await ctx.run("wait", asyncio.sleep, 60)


class Tour(BaseModel):
    """A diary of what the attempts did, and when the sleep is over."""

    diary: Path
    wakes_at: datetime

    def note(self, line: str) -> None:
        """Keep a line, whatever the ledger keeps."""
        with self.diary.open("a") as lines:
            lines.write(f"{line}\n")


async def send(tour: Tour) -> str:
    """Send, and lose the answer."""
    tour.note("sent")
    raise ConnectionError("the answer was lost")


async def look(tour: Tour) -> str:
    """Find out that it was sent."""
    tour.note("looked")
    return "found"


@job(name="async-tour", queue=QUEUE.name, retry=RetryPolicy(max_attempts=3, wait=wait_none()))
async def async_tour(payload: Tour, ctx: AsyncJobContext) -> list[object]:
    """Do what a context can; fail in the second batch, and after sending."""
    payload.note(f"drawn {await ctx.now()} {await ctx.uuid()} {await ctx.random()}")
    async for batch in ctx.batches("add", range(4), size=2):
        payload.note(f"batch {batch} {ctx.attempt}")
        if ctx.attempt == 1 and batch[0] == 2:
            raise ConnectionError("cut off")
    await ctx.sleep_until("sleep", payload.wakes_at)
    answer = await ctx.wait_for_event("async-answer", int)
    for number in range(100):
        await ctx.progress(number + 1, 100, f"word {number}")
    return [answer, await ctx.run("send", send, payload, once=True, verify=look)]
