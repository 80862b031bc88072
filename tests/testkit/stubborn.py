"""A job that catches whatever it is interrupted by, and goes on."""

from contextlib import suppress

from failsoft.api import JobContext, dispatch_job, job
from tests.testkit.jobs import Nothing, Person, do, send_welcome


@job()
def stubborn(payload: Nothing, ctx: JobContext) -> None:
    with suppress(BaseException):
        ctx.run("one", do, "one")
    with suppress(BaseException):
        dispatch_job(send_welcome, Person())
    with suppress(BaseException):
        ctx.run("two", do, "two")
