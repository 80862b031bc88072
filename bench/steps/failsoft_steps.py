"""Ten steps of Failsoft's: in this process, and through the queues of its workers."""

import os
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from failsoft.dispatcher import Dispatcher
from failsoft.job_engine import JobContext, job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.job import JobRecord, Ticket, WorkerRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import ignore
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import build
from tests.servers.processes import Process, wait_until

STEPS = 10
MINUTE = timedelta(minutes=1)


class Number(BaseModel):
    """Something small, as most payloads are."""

    number: int


def one_more(number: int) -> int:
    """Do next to nothing: what is measured is the keeping of it."""
    return number + 1


@job(queue="default")
def ten_steps(payload: Number, ctx: JobContext) -> int:
    """Take ten steps."""
    number = payload.number
    for step in range(STEPS):
        number = ctx.run(f"step {step}", one_more, number)
    return number


class InProcess:
    """Record, claim and run one job after the other in this process: the executor itself."""

    def __init__(self, url: str, measures: Measures | None = None) -> None:
        """Prepare the ledger's tables; with measures, what happens is counted there."""
        database = Database(url)
        upgrade(database)
        self._ledger = SqlLedger(database)
        self._measures = measures or Measures()
        self._executor = Executor(
            *(self._ledger, Catalogue([ten_steps]), SystemClock()),
            self._measures.listening(ignore),
            measures=self._measures,
        )

    def run(self, number: int) -> None:
        """Run one job."""
        payload = Number(number=number).model_dump_json()
        new = NewJob(secrets.token_hex(16), ten_steps.name, DEFAULT.name, payload, "sha")
        record, _ = self._ledger.record_job(new, OfferPlan("here", MINUTE))
        claim = self._ledger.claim(_ticket(record))
        if claim is None or self._executor.run(claim, Lease()) is not JobState.SUCCEEDED:
            raise AssertionError("expected the job to succeed")

    def beat(self) -> None:
        """Write what was counted, as the heartbeat of a worker does."""
        batch = self._measures.take()
        worker = WorkerRecord("bench", "here", DEFAULT.name, "here", os.getpid(), 1)
        self._ledger.beat(worker, MINUTE, batch)
        self._measures.written(batch)


def _ticket(record: JobRecord) -> Ticket:
    return Ticket(
        record.id, record.epoch, "here", record.queue, secrets.token_hex(16), "bench", MINUTE
    )


class Workers:
    """A worker process of each engine on the queue `default`, and the dispatcher that feeds them.

    Args:
        env: Where the servers are.
        folder: Where their logs go.
    """

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        """Start them and wait until both are live."""
        url = env["FAILSOFT_LEDGER_URL"]
        settings = load_settings(
            ledger_url=url, redis_url=env["REDIS_URL"], amqp_url=env["AMQP_URL"]
        )
        app = build(settings, lambda _: None)
        self._dispatcher: Dispatcher = app.dispatcher
        self._processes = [
            Process(*_command(engine), log=folder / f"{engine}.log", cwd=Path.cwd(), env=env)
            for engine in ("rq", "dramatiq")
        ]
        wait_until(lambda: len(app.ledger.live_workers()) == 2, 60, "two live workers")  # noqa: PLR2004 - of each engine one

    def dispatch_to(self, engine: str) -> Callable[[int], object]:
        """Return a call that dispatches one job to an engine."""
        engines: Sequence[str] = (engine,)
        return lambda number: self._dispatcher.dispatch(
            ten_steps, Number(number=number), engines=engines
        )

    def stop(self) -> None:
        """Stop the workers."""
        self._dispatcher.close()
        for process in self._processes:
            process.kill()


def _command(engine: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "failsoft.worker", engine, DEFAULT.name)
