"""Jobs that may not all run at once, or not all begin in a while; each notes when it ran."""

import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from failsoft.job_engine import Concurrency, JobContext, RateLimit, RetryPolicy, job
from tests.features.queues import QUEUE

#: A little longer than a look of the stagers, so that those that may overlap do.
A_WHILE = 0.15
PERIOD = timedelta(milliseconds=700)


class Call(BaseModel):
    tenant: str
    diary: str
    number: int = 0
    gate: str | None = None


def note(call: Call, word: str) -> None:
    with Path(call.diary).open("a") as diary:
        diary.write(f"{time.monotonic()} {word} {call.number}\n")


@job(name="limits-call", queue=QUEUE.name, concurrency=Concurrency(limit=2, by=("tenant",)))
def call(payload: Call, ctx: JobContext) -> int:
    note(payload, "begin")
    time.sleep(A_WHILE)  # what is measured: how many run meanwhile
    while payload.gate and not Path(payload.gate).exists():
        time.sleep(0.01)
    note(payload, "end")
    return payload.number


@job(
    name="limits-metered",
    queue=QUEUE.name,
    rate_limit=RateLimit(limit=2, period=PERIOD, by=("tenant",)),
)
def metered(payload: Call, ctx: JobContext) -> int:
    note(payload, "begin")
    return payload.number


@job(name="limits-nap", queue=QUEUE.name, concurrency=Concurrency(limit=1, by=("tenant",)))
def nap(payload: Call, ctx: JobContext) -> int:
    ctx.run("begin", note, payload, "begin")
    ctx.sleep("nap", timedelta(milliseconds=200) if payload.number else timedelta(hours=1))
    ctx.run("end", note, payload, "end")
    return payload.number


@job(
    name="limits-killed",
    queue=QUEUE.name,
    retry=RetryPolicy(max_attempts=1),
    concurrency=Concurrency(limit=1, by=("tenant",)),
)
def fails(payload: Call, ctx: JobContext) -> None:
    raise ValueError(payload.number)
