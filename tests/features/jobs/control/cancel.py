"""A job that waits in a step until a test lets it go on."""

from pathlib import Path
from time import sleep

from pydantic import BaseModel

from failsoft.job_engine import JobContext, job
from tests.features.queues import QUEUE


class Gate(BaseModel):
    """A file that shows that the job is there, and one that lets it go on."""

    entered: Path
    opened: Path


def wait(gate: Gate) -> None:
    """Wait until the gate is opened."""
    gate.entered.touch()
    while not gate.opened.exists():
        sleep(0.01)


@job(name="cancelling-gated", queue=QUEUE.name)
def gated(payload: Gate, ctx: JobContext) -> None:
    """Wait, and do something else."""
    ctx.run("wait", wait, payload)
    ctx.run("go-on", str)
