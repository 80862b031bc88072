"""Jobs that stop for a person."""

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import JobContext, RetryPolicy, job
from tests.features.queues import QUEUE


class Bill(BaseModel):
    """What is paid."""

    number: int


def pay_and_lose_the_answer(number: int) -> str:
    """Raise, so that the outcome is unknown."""
    raise ConnectionError(f"no answer about {number}")


def pay(ctx: JobContext, number: int) -> str:
    """Lose the answer in the first attempt only."""
    if ctx.attempt == 1:
        return pay_and_lose_the_answer(number)
    return f"{number} paid again"


@job(name="resolving-pay", queue=QUEUE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
def resolving_pay(payload: Bill, ctx: JobContext) -> str:
    """Pay a bill once."""
    number = ctx.run("look-up", lambda: payload.number)
    return str(ctx.run("pay", pay, ctx, number, once=True))
