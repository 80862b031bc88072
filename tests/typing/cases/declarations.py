"""Declarations, their handlers and their jobs; on the lines marked `error:` what is wrong."""

from typing import assert_type

from pydantic import BaseModel

from failsoft.api import (
    AsyncJobContext,
    JobContext,
    JobDefinition,
    JobHandle,
    declare_job,
    dispatch_job,
    job,
)
from failsoft.job_engine.jobs.data_sync.import_csv import import_cvs  # error: no such job
from failsoft.job_engine.jobs.default import deliver_webhook as webhooks
from failsoft.job_engine.jobs.default.deliver_webhook import deliver_webhook
from failsoft.job_engine.jobs.scheduled.prune_ledger import Pruning, prune_ledger


class Parcel(BaseModel):
    """A payload."""

    grams: int = 0


class Other(BaseModel):
    """Another payload."""


send = declare_job("send", payload=Parcel, result=str)
forget = declare_job("forget", payload=Parcel)

assert_type(send, JobDefinition[Parcel, str])
assert_type(forget, JobDefinition[Parcel, None])
assert_type(dispatch_job(send, Parcel()), JobHandle[str])
dispatch_job(send, Other())  # error: another payload
dispatch_job(import_cvs, Parcel())
dispatch_job(webhooks.deliver_webook, Parcel())  # error: no such job in the module
dispatch_job(deliver_webhook, Parcel())  # error: another payload
dispatch_job(prune_ledger, Pruning())
dispatch_job("send", Parcel())  # error: a job, and not its name
declare_job("send", payload=dict)  # error: a payload is a model
declare_job("send", payload=Parcel, prioritty=3)  # error: no such option
declare_job("send", payload=Parcel, priority="high")  # error: a priority is a number


@send.bind
def plain(payload: Parcel, ctx: JobContext) -> str:
    """Handle the payload."""
    return f"{payload.grams} g"


@send.bind
async def awaited(payload: Parcel, ctx: AsyncJobContext) -> str:
    """Handle the payload."""
    return f"{payload.grams} g"


@send.bind
def of_any(payload: BaseModel, ctx: JobContext) -> str:
    """Handle whatever comes."""
    return "sent"


class Sender:
    """A handler that has collaborators."""

    def __call__(self, payload: Parcel, ctx: JobContext) -> str:
        """Handle the payload."""
        return "sent"


assert_type(plain, JobDefinition[Parcel, str])
assert_type(awaited, JobDefinition[Parcel, str])
assert_type(send.bind(Sender()), JobDefinition[Parcel, str])


@send.bind  # error: a handler takes a payload and a context
def without_context(payload: Parcel) -> str:
    """Take no context."""
    return "sent"


@send.bind  # error: another payload
def of_another(payload: Other, ctx: JobContext) -> str:
    """Take another payload."""
    return "sent"


@send.bind  # error: the result is text
def of_a_number(payload: Parcel, ctx: JobContext) -> int:
    """Return a number."""
    return payload.grams


@send.bind  # error: the result is text
async def of_a_number_awaited(payload: Parcel, ctx: AsyncJobContext) -> int:
    """Return a number, a moment later."""
    return payload.grams


@send.bind  # error: an `async def` takes an AsyncJobContext
async def of_the_wrong_context(payload: Parcel, ctx: JobContext) -> str:
    """Take the context of a plain function."""
    return "sent"


@forget.bind  # error: the job has no result
def of_a_result(payload: Parcel, ctx: JobContext) -> int:
    """Return a number."""
    return payload.grams


@forget.bind
def of_nothing(payload: Parcel, ctx: JobContext) -> None:
    """Return nothing."""


@job
def bare(payload: Parcel, ctx: JobContext) -> str:
    """Handle the payload."""
    return f"{payload.grams} g"


@job
async def bare_awaited(payload: Parcel, ctx: AsyncJobContext) -> str:
    """Handle the payload."""
    return f"{payload.grams} g"


@job  # error: a handler takes a context
def bare_without_context(payload: Parcel) -> str:
    """Handle the payload."""
    return f"{payload.grams} g"


assert_type(bare, JobDefinition[Parcel, str])
assert_type(bare_awaited, JobDefinition[Parcel, str])
