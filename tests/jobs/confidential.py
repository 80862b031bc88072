"""A job that is trusted with a secret, and ends in every way there is."""

import os
import signal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from failsoft.job_engine import JobContext, SecretText, job
from tests.deployments.effect_log import BEGUN, note
from tests.jobs.scripted import CHILDREN, FOR_EVER, ONCE
from tests.servers.processes import wait_until

Fate = Literal["success", "failure", "crash", "fenced"]


class Confidential(BaseModel):
    """What the job is given; both texts are the canary.

    Attributes:
        secret: As a careful author declares it.
        remark: As anybody else does.
        fate: What becomes of the job.
        gate: A file; the first attempt of a job that will be fenced waits for it.
    """

    secret: SecretText
    remark: str
    fate: Fate
    gate: str


@job(name="confidential", queue=CHILDREN.name, retry=ONCE)
def confidential(payload: Confidential, ctx: JobContext) -> int:
    return ctx.run("step-1", use, payload, ctx.job_id, ctx.attempt)


def use(payload: Confidential, job_id: str, attempt: int) -> int:
    note(BEGUN, job_id, "step-1", attempt)
    known = payload.secret.get_secret_value() + payload.remark
    if payload.fate == "failure":
        raise RuntimeError("no luck")
    if payload.fate == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if payload.fate == "fenced" and attempt == 1:
        wait_until(Path(payload.gate).exists, FOR_EVER, "the gate")
    return len(known)
