"""What type checkers accept, and on the lines marked `error:` what they must not."""

from datetime import timedelta
from typing import assert_type

from pydantic import BaseModel

from failsoft.api import (
    AsyncJobContext,
    AsyncJobHandle,
    Branch,
    JobContext,
    JobDefinition,
    JobHandle,
    dispatch_job,
    dispatch_job_async,
    job,
)


class Mail(BaseModel):
    """A payload."""

    user_id: int


class Other(BaseModel):
    """Another payload."""


def fetch(user_id: int, kind: str) -> float:
    """Return a number."""
    return user_id + len(kind)


async def fetch_awaited(user_id: int) -> float:
    """Return a number, a moment later."""
    return user_id


@job(queue="default", timeout=timedelta(seconds=1))
def plain(payload: Mail, ctx: JobContext) -> str:
    """Run steps."""
    assert_type(ctx.run("fetch", fetch, payload.user_id, "a"), float)
    assert_type(
        ctx.parallel(ctx.branch("a", fetch, 1, "a"), ctx.branch("b", str, 1)), tuple[float, str]
    )
    assert_type(ctx.run("fetch", fetch, payload.user_id, kind="a"), float)
    assert_type(ctx.branch("fetch", fetch, user_id=7, kind="a"), Branch[float])
    ctx.run("fetch", fetch, 7, kind=7)  # error: that argument is text
    assert_type(ctx.wait_for_event("answer", Mail), Mail | None)
    assert_type(ctx.invoke(awaited, payload), int)
    ctx.run("fetch", fetch, "seven", "a")  # error: the first argument is a number
    ctx.run("fetch", fetch, 7)  # error: an argument is missing
    ctx.run("fetch", fetch, 7, "a", tries=3)  # error: no such option
    ctx.run("fetch", fetch, 7, "a", timeout=5)  # error: a timeout is a timedelta
    ctx.invoke(awaited, Other())  # error: another payload
    return "done"


@job()
async def awaited(payload: Mail, ctx: AsyncJobContext) -> int:
    """Await steps."""
    assert_type(await ctx.run("fetch", fetch_awaited, payload.user_id), float)
    assert_type(await ctx.run("plain", fetch, 7, "a"), float)
    assert_type(await ctx.run("fetch", fetch_awaited, user_id=7), float)
    await ctx.run("fetch", fetch_awaited, user_id="seven")  # error: it is a number
    await ctx.run("fetch", fetch_awaited, "seven")  # error: the argument is a number
    return 7


assert_type(plain, JobDefinition[Mail, str])
assert_type(awaited, JobDefinition[Mail, int])
assert_type(dispatch_job(plain, Mail(user_id=7)), JobHandle[str])
assert_type(dispatch_job(awaited, Mail(user_id=7)).result(), int)


async def view() -> None:
    """Dispatch from an async web app."""
    handle = await dispatch_job_async(awaited, Mail(user_id=7))
    assert_type(handle, AsyncJobHandle[int])
    assert_type(await handle.result(), int)


dispatch_job(plain, Other())  # error: another payload
dispatch_job(plain, Mail(user_id=7), idempotency="x")  # error: no such option
dispatch_job(plain, Mail(user_id=7), delay=5)  # error: a delay is a timedelta
number: int = dispatch_job(plain, Mail(user_id=7)).result()  # error: the result is text


@job(prioritty=3)  # error: no such option
def misspelled(payload: Mail, ctx: JobContext) -> None:
    """Carry an option that does not exist."""


@job()  # error: a handler takes a payload and a context
def wrong_signature(payload: Mail) -> None:
    """Take no context."""
