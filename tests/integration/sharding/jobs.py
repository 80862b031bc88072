"""Jobs that dispatch others, from a worker of one ledger to whichever is the shard's."""

from pydantic import BaseModel

from failsoft.api import JobContext, dispatch_job, job
from tests.jobs.scripted import Script, in_thread


class Relay(BaseModel):
    shard: str
    key: str


@job(name="relay", queue="threads")
def relay(payload: Relay, ctx: JobContext) -> str:
    """Dispatch another job for a shard, and return its id."""
    return ctx.run("dispatch", pass_on, payload.shard, payload.key)


def pass_on(shard: str, key: str) -> str:
    return dispatch_job(in_thread, Script(), shard=shard, idempotency_key=f"{shard}:{key}").id
