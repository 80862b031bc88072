"""Jobs that wait for events and for other jobs."""

from datetime import timedelta

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import AsyncJobContext, JobContext, RetryPolicy, Unique, job
from failsoft.job_engine.errors import DuplicateDispatchError, JobFailedError
from tests.features.queues import QUEUE

NO_RETRY = RetryPolicy(max_attempts=1)


class Question(BaseModel):
    """Whom to ask, and for how long to wait; the first attempt may fail after the answer."""

    key: str | None = None
    patience: float | None = None
    fails: bool = False


class Number(BaseModel):
    """A number."""

    value: int


@job(name="waits-answer", queue=QUEUE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
def waits_answer(payload: Question, ctx: JobContext) -> int | None:
    """Wait for an answer."""
    patience = None if payload.patience is None else timedelta(seconds=payload.patience)
    answer = ctx.wait_for_event("answer", Number, key=payload.key, timeout=patience)
    if payload.fails:
        ctx.sleep("nap", timedelta(milliseconds=10))
    return answer and answer.value


@job(name="waits-for-ever", queue=QUEUE.name, unique=Unique(by=("key",)))
def waits_for_ever(payload: Question, ctx: JobContext) -> None:
    """Wait for what is not sent."""
    ctx.wait_for_event("never")


@job(name="waits-for-another", queue=QUEUE.name, retry=NO_RETRY)
def waits_for_another(payload: Question, ctx: JobContext) -> str:
    """Wait for a job that waits, unless another has it wait."""
    try:
        ctx.invoke(waits_for_ever, payload)
    except DuplicateDispatchError:
        return "taken"
    return "ended"


@job(name="waits-half", queue=QUEUE.name, retry=NO_RETRY)
def waits_half(payload: Number, ctx: JobContext) -> int:
    """Halve an even number."""
    if payload.value % 2:
        raise ValueError(f"{payload.value} is odd")
    return payload.value // 2


@job(name="waits-halves", queue=QUEUE.name, retry=NO_RETRY)
def waits_halves(payload: Number, ctx: JobContext) -> list[int]:
    """Halve a number as often as that goes, each time by another job."""
    found = [payload.value]
    try:
        while True:
            step = f"half of {found[-1]}"
            found.append(ctx.invoke(waits_half, Number(value=found[-1]), step=step))
    except JobFailedError:
        return found


@job(name="waits-halves-async", queue=QUEUE.name, retry=NO_RETRY)
async def waits_halves_async(payload: Number, ctx: AsyncJobContext) -> list[int]:
    """Halve once, awaited."""
    return [payload.value, await ctx.invoke(waits_half, payload)]
