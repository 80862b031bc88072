"""One job's steps in memory, and attempts at the job that crash where a test says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from failsoft.job_engine import JobContext
from failsoft.job_engine.attempt.interrupts import Suspended
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.jobs.data_sync.table_sink import Row, TableShape
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim, StepRecord
from failsoft.testing import FrozenClock

P = TypeVar("P")
R = TypeVar("R")

JOB_ID = "job-1"


class Crashed(BaseException):
    """The attempt's process died."""


class StepLedger(AttemptLedger):
    """What attempts at one job record."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self.crash_before_recording: str | None = None

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        return [step for step in self.steps if step.name == name or step.seq == seq]

    def record(self, claim: Claim, step: StepRecord) -> None:
        if step.name == self.crash_before_recording:
            self.crash_before_recording = None
            raise Crashed(step.name)
        self.steps.append(step)

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]


@dataclass
class Job:
    """One job and its attempts; each begins with what the ones before it recorded."""

    ledger: StepLedger = field(default_factory=StepLedger)
    clock: Clock = field(default_factory=FrozenClock)
    attempts: int = 0

    def context(self, job_id: str = JOB_ID) -> JobContext:
        self.attempts += 1
        claim = Claim(
            job_id=job_id,
            epoch=self.attempts,
            claim_id=f"claim-{self.attempts}",
            engine="memory",
            worker="worker",
            name="job",
            queue="default",
            payload="{}",
            attempt=self.attempts,
            errors=0,
            crashes=0,
            releases=0,
            lease=timedelta(minutes=1),
        )
        return JobContext(claim, self.ledger, Lease(), self.clock)

    def attempt(self, handler: Callable[[P, JobContext], R], payload: P) -> R:
        """Run the handler; where it sleeps, let the time pass and go on."""
        while True:
            try:
                return handler(payload, self.context())
            except Suspended as sleep:
                self.ledger.steps.append(sleep.step)
                self.clock.sleep(sleep.delay.total_seconds())


class MemoryTables:
    """`TableSink` in memory."""

    def __init__(self) -> None:
        self.shapes: dict[str, TableShape] = {}
        self.batches: dict[str, Sequence[Row]] = {}
        self.writes = 0

    def ensure(self, table: TableShape) -> None:
        self.shapes[table.name] = table

    def write_batch(self, table: TableShape, key: str, rows: Sequence[Row]) -> int:
        self.writes += 1
        return len(self.batches.setdefault(key, rows))

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [dict(row) for batch in self.batches.values() for row in batch]
