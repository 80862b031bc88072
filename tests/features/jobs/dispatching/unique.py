"""A job that is unique while it is incomplete, and that fails until its part is there."""

from pathlib import Path

from pydantic import BaseModel

from failsoft.job_engine import JobContext, RetryPolicy, Unique, job
from tests.features.jobs.control.cancel import Gate, wait
from tests.features.queues import QUEUE


class Repair(BaseModel):
    """What is repaired, the file without which it cannot be, and the gate that it waits at."""

    customer: str
    part: Path
    gate: Gate


def fetch(part: Path) -> str:
    """Fail without the part."""
    if not part.exists():
        raise FileNotFoundError(f"no part: {part.name}")
    return part.name


@job(
    name="unique-repair",
    queue=QUEUE.name,
    retry=RetryPolicy(max_attempts=1),
    unique=Unique(by=("customer",)),
)
def repair(payload: Repair, ctx: JobContext) -> str:
    """Look, fetch the part, and wait until the other job is there."""
    ctx.run("look", str)
    part = ctx.run("fetch", fetch, payload.part)
    ctx.run("wait", wait, payload.gate)
    return f"{payload.customer}: {part}"
