"""Jobs that fail after they have drawn numbers, or sent money."""

from pathlib import Path

from pydantic import BaseModel

from tests.features.lane import LANE
from understudy.job_engine import NOT_DONE, JobContext, NotDone, RetryPolicy, job

AT_ONCE = RetryPolicy(max_attempts=2, wait=lambda state: 0)


class Draw(BaseModel):
    """A file that remembers what was done, whatever the ledger says."""

    drawn: Path

    def note(self, line: str) -> None:
        """Remember a line."""
        with self.drawn.open("a") as lines:
            lines.write(f"{line}\n")


@job(name="recorded-draw", queue=LANE.name, retry=AT_ONCE)
def draw(payload: Draw, ctx: JobContext) -> str:
    """Return what is drawn by the second attempt."""
    drawn = f"{ctx.now()} {ctx.uuid()} {ctx.random()} {ctx.idempotency_key('draw')}"
    if ctx.attempt == 1:
        payload.note(drawn)
        raise ConnectionError("again")
    return drawn


def send(payload: Draw) -> str:
    """Send, and lose the answer."""
    payload.note("sent")
    raise ConnectionError("the answer was lost")


def look(payload: Draw) -> str | NotDone:
    """Find out whether it was sent."""
    return "found" if payload.drawn.exists() else NOT_DONE


@job(name="recorded-transfer", queue=LANE.name, retry=AT_ONCE)
def transfer(payload: Draw, ctx: JobContext) -> str:
    """Send once, whatever happens."""
    return ctx.run("send", send, payload, once=True, verify=look)
