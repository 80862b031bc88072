"""The jobs of the tests of the testing kit: those of a small shop."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from tenacity import wait_fixed

from failsoft.api import (
    AsyncJobContext,
    Concurrency,
    Every,
    JobContext,
    RetryPolicy,
    dispatch_job,
    job,
)

HOUR = timedelta(hours=1)

#: What steps did, in order.
DONE: list[str] = []


class Person(BaseModel):
    email: str = "ada@example.org"


class File(BaseModel):
    path: str = "x.csv"
    parts: int = 3


class Nothing(BaseModel):
    pass


def do(what: str) -> str:
    DONE.append(what)
    return what


@job()
def send_welcome(payload: Person, ctx: JobContext) -> str:
    return f"Welcome, {payload.email.partition('@')[0]}"


@job()
def import_file(payload: File, ctx: JobContext) -> int:
    for part in range(1, payload.parts + 1):
        ctx.run(f"load-{part}", do, f"load-{part}")
    return payload.parts


@job()
def nap(payload: Nothing, ctx: JobContext) -> str:
    first: str = ctx.run("before", do, "before")
    ctx.sleep("sleep", HOUR)
    return first + ctx.run("after", do, "after")


@job()
def pay(payload: Nothing, ctx: JobContext) -> str:
    return ctx.run("charge", do, "charge", once=True)


@job(retry=RetryPolicy(max_attempts=2, wait=wait_fixed(5)))
def fail(payload: Nothing, ctx: JobContext) -> None:
    ctx.run("explode", explode)


def explode() -> None:
    DONE.append("explode")
    raise ValueError("no paper")


@job()
def tick(payload: Nothing, ctx: JobContext) -> None:
    dispatch_job(tick, Nothing())


@job(schedule=Every(HOUR))
def sweep(payload: Nothing, ctx: JobContext) -> None:
    DONE.append("sweep")


@job()
def approve(payload: Nothing, ctx: JobContext) -> Any:
    return ctx.wait_for_event("approved")


@job()
async def fetch(payload: Nothing, ctx: AsyncJobContext) -> str:
    return await ctx.run("get", get)


async def get() -> str:
    return do("get")


@job(concurrency=Concurrency(limit=1))
def alone(payload: Nothing, ctx: JobContext) -> None:
    return None


@job()
def sign_up(payload: Person, ctx: JobContext) -> str:
    return dispatch_job(send_welcome, payload).id


@job()
def post(payload: Nothing, ctx: JobContext) -> None:
    ctx.run("post", work_in, tx=True)


def work_in(transaction: object) -> None:
    DONE.append("post")
