"""Jobs that report how far they have come."""

from pydantic import BaseModel

from failsoft.job_engine import JobContext, job
from tests.features.queues import QUEUE


class Words(BaseModel):
    """How many words it says."""

    count: int


@job(name="progress-words", queue=QUEUE.name)
def progress_words(payload: Words, ctx: JobContext) -> None:
    """Say them all at once."""
    for number in range(payload.count):
        ctx.progress(number + 1, payload.count, f"word {number}")
