"""Jobs that fail after they have drawn numbers, or sent money."""

from pathlib import Path

from pydantic import BaseModel

from failsoft.job_engine import (
    NOT_DONE,
    AsyncJobContext,
    JobContext,
    NotDone,
    RetryPolicy,
    job,
)
from tests.features.queues import QUEUE

AT_ONCE = RetryPolicy(max_attempts=2, wait=lambda state: 0)


class Draw(BaseModel):
    """A file that remembers what was done, whatever the ledger says."""

    drawn: Path

    def note(self, line: str) -> None:
        """Remember a line."""
        with self.drawn.open("a") as lines:
            lines.write(f"{line}\n")


@job(name="recorded-draw", queue=QUEUE.name, retry=AT_ONCE)
def draw(payload: Draw, ctx: JobContext) -> str:
    """Return what is drawn by the second attempt."""
    drawn = f"{ctx.now()} {ctx.uuid()} {ctx.random()} {ctx.idempotency_key('draw')}"
    if ctx.attempt == 1:
        payload.note(drawn)
        raise ConnectionError("again")
    return drawn


def send(payload: Draw) -> str:
    """Send, and lose the answer."""
    payload.note("sent")
    raise ConnectionError("the answer was lost")


def look(payload: Draw) -> str | NotDone:
    """Find out whether it was sent."""
    return "found" if payload.drawn.exists() else NOT_DONE


@job(name="recorded-transfer", queue=QUEUE.name, retry=AT_ONCE)
def transfer(payload: Draw, ctx: JobContext) -> str:
    """Send once, whatever happens."""
    return ctx.run("send", send, payload, once=True, verify=look)


def dial(payload: Draw, attempt: int) -> str:
    """Send in the second attempt; the first one does not come so far."""
    payload.note(f"dialled {attempt}")
    if attempt == 1:
        raise ConnectionError("nobody answers")
    payload.note("sent")
    return "sent"


def look_it_up(payload: Draw, attempt: int) -> str | NotDone:
    """Find out that it was not sent."""
    payload.note(f"looked {attempt}")
    return NOT_DONE


async def dial_async(payload: Draw, attempt: int) -> str:
    """Do the same, awaited."""
    return dial(payload, attempt)


async def look_it_up_async(payload: Draw, attempt: int) -> str | NotDone:
    """Do the same, awaited."""
    return look_it_up(payload, attempt)


@job(name="recorded-call", queue=QUEUE.name, retry=AT_ONCE)
def call(payload: Draw, ctx: JobContext) -> str:
    """Send once, and again only if it was not sent."""
    return ctx.run("dial", dial, payload, ctx.attempt, once=True, verify=look_it_up)


@job(name="recorded-call-async", queue=QUEUE.name, retry=AT_ONCE)
async def call_async(payload: Draw, ctx: AsyncJobContext) -> str:
    """Do the same in an async job."""
    return await ctx.run(
        "dial", dial_async, payload, ctx.attempt, once=True, verify=look_it_up_async
    )
