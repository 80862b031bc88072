"""Failsoft with its defaults: one engine, on the ledger that its own variables name."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel

from bench.peers.program import EMAIL, STEPS, become, witness
from failsoft.api import JobContext, job
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import build

QUEUE = "default"


class Payload(BaseModel):
    """Something small, as most payloads are."""

    number: int
    email: str


@job(queue=QUEUE)
def no_op(payload: Payload, ctx: JobContext) -> int:
    """Note the run."""
    return witness(payload.number)


def one_more(number: int) -> int:
    """Do next to nothing: what is measured is the keeping of it."""
    return number + 1


@job(queue=QUEUE)
def ten_steps(payload: Payload, ctx: JobContext) -> int:
    """Take ten steps, and note the run."""
    number = payload.number
    for step in range(STEPS):
        number = ctx.run(f"step {step}", one_more, number)
    return witness(number - STEPS)


class Producer:
    """Dispatches as an application does."""

    def __init__(self) -> None:
        settings = load_settings()
        with closing(Database(settings.ledger_url)) as database:
            upgrade(database)
        self._app = build(settings, lambda _: None)
        self._engines = (os.environ["BENCH_ENGINE"],)

    def enqueue(self, number: int) -> object:
        """Dispatch one job."""
        return self._app.dispatcher.dispatch(no_op, _payload(number), engines=self._engines)

    def many(self, numbers: Sequence[int]) -> None:
        """Dispatch many at once."""
        payloads = [_payload(number) for number in numbers]
        found = self._app.dispatcher.dispatch_many(no_op, payloads, engines=self._engines)
        if any(each.handle is None for each in found):
            raise AssertionError("expected every job to be dispatched")

    def steps(self, number: int) -> object:
        """Dispatch one job of ten steps."""
        return self._app.dispatcher.dispatch(ten_steps, _payload(number), engines=self._engines)

    def ended(self) -> int:
        """Return how many jobs have succeeded."""
        return self._app.ledger.counts().get(JobState.SUCCEEDED, 0)


def _payload(number: int) -> Payload:
    return Payload(number=number, email=EMAIL)


def work() -> None:
    """Work until ended, in one process."""
    become(
        Path(sys.executable).name,
        "-m",
        "failsoft.worker",
        os.environ["BENCH_ENGINE"],
        QUEUE,
    )
