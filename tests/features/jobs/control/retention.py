"""A job of which not much is kept once it has ended."""

from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine import JobContext, NonRetryableError, Retention, job
from tests.features.queues import QUEUE

HOUR = timedelta(hours=1)


class Leaf(BaseModel):
    """A leaf, and whether it is rotten."""

    rotten: bool = False


@job(
    name="retention-leaf",
    queue=QUEUE.name,
    keep_succeeded=Retention(age=HOUR, count=1),
    keep_failed=Retention(age=HOUR, count=2),
)
def leaf(payload: Leaf, ctx: JobContext) -> None:
    """Fall, or fail."""
    if payload.rotten:
        raise NonRetryableError("rotten")


@job(name="retention-dust", queue=QUEUE.name, keep_failed=Retention(age=timedelta(0)))
def dust(payload: Leaf, ctx: JobContext) -> None:
    """Fall or fail, too."""
    if payload.rotten:
        raise NonRetryableError("rotten")
