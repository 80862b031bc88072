"""Jobs of the dispatch options; what they ran with is their result."""

import threading

from pydantic import BaseModel

from failsoft.job_engine import JobContext, job
from tests.features.queues import QUEUE, UNSERVED


class Note(BaseModel):
    """Something to distinguish."""

    text: str = ""
    customer: str = ""
    pause: float = 0


@job(name="dispatching-echo", queue=QUEUE.name)
def echo(payload: Note, ctx: JobContext) -> str:
    """Return what was noted."""
    threading.Event().wait(payload.pause)
    return payload.text


@job(name="dispatching-deserted", queue=UNSERVED.name)
def deserted(payload: Note, ctx: JobContext) -> str:
    """Never run: no worker serves its queue."""
    return payload.text
