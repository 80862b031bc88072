"""Calling one handler with one payload, apart from everything else."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from failsoft.dispatcher.options.options import DispatchOptions, new_job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import JobFailedError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord, Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import SentEvent, event_topic
from failsoft.testkit.catalogue import noting_errors
from failsoft.testkit.memory.clock import KitClock
from failsoft.testkit.memory.ledger import DyingLedger
from failsoft.testkit.results import Performed

ENGINE = "perform"
#: Longer than any handler sleeps.
LONG = timedelta(days=36_500)


class StubbedLedger(DyingLedger):
    """A ledger in which the steps that a test names count as recorded."""

    def __init__(self, clock: Clock, stubs: Mapping[str, object]) -> None:
        super().__init__(clock)
        self._stubs = stubs

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Return what is recorded of a step, or its stub."""
        found = super().begin(claim, name, seq)
        if found or name not in self._stubs:
            return found
        return [StepRecord(name, seq, StepKind.RUN, json.dumps(self._stubs[name]))]


def perform(
    job: AnyDefinition,
    payload: BaseModel,
    *,
    attempt: int,
    steps: Mapping[str, object],
    events: Mapping[str, object],
    start: datetime,
) -> Performed:
    """Call a handler until it returns or waits for what has not come.

    Raises:
        Exception: What the handler raised.
        JobFailedError: The job failed without one: its result does not fit, as an example.
        AssertionError: It is held for a person.
    """
    return _Performance(job, payload, steps, start).run(attempt, events)


class _Performance:
    def __init__(
        self, job: AnyDefinition, payload: BaseModel, steps: Mapping[str, object], start: datetime
    ) -> None:
        self._clock = KitClock(start)
        self._ledger = StubbedLedger(self._clock, steps)
        self._raised: list[BaseException] = []
        self._job = job
        catalogue = Catalogue([noting_errors(job, self._raised.append)])
        self._executor = Executor(self._ledger, catalogue, self._clock)
        new = new_job(job, payload, DispatchOptions(), self._clock)
        self._queue = new.queue
        record, _ = self._ledger.record_job(new, OfferPlan(ENGINE, LONG))
        self._id = record.id

    def run(self, attempt: int, events: Mapping[str, object]) -> Performed:
        """Run attempts, one after each sleep."""
        self._ledger.put_claims(self._id, attempt - 1)
        for name, payload in events.items():
            topic = event_topic(name, job_id=self._id)
            sent = SentEvent(secrets.token_hex(8), topic, name, json.dumps(payload), LONG)
            self._ledger.send(sent)
        slept = list[timedelta]()
        while (state := self._attempt()) is JobState.SCHEDULED and not self._waits():
            job = self._ledger.get(self._id)
            if self._raised or job.run_at is None:
                break
            pause = max(timedelta(0), job.run_at - self._clock.now())
            slept.append(pause)
            self._clock.advance(pause)
        return self._performed(state, slept)

    def _attempt(self) -> JobState | None:
        job = self._ledger.get(self._id)
        if job.state is JobState.SCHEDULED:
            job = self._ledger.offer(job, OfferPlan(ENGINE, LONG)) or job
        claim = self._ledger.claim(
            Ticket(self._id, job.epoch, ENGINE, self._queue, secrets.token_hex(8), ENGINE, LONG)
        )
        if claim is None:
            raise AssertionError(f"expected job {self._job.name} to begin, got {job.state}")
        return self._executor.run(claim, Lease())

    def _waits(self) -> list[str]:
        steps = self._ledger.steps(self._id)
        return [step.name for step in steps if step.kind is StepKind.WAIT]

    def _performed(self, state: JobState | None, slept: Sequence[timedelta]) -> Performed:
        if self._raised:
            raise self._raised[-1]
        job = self._ledger.get(self._id)
        if state is JobState.FAILED or state is JobState.HELD:
            error = job.error or ErrorRecord("unknown", "no error was recorded")
            if state is JobState.HELD:
                raise AssertionError(f"expected {job.name} to end, got held: {error.message}")
            raise JobFailedError(job.id, error.type, error.message, error.traceback)
        ran = {StepKind.RUN, StepKind.BRANCH, StepKind.ONCE}
        recorded: Mapping[str, Any] = {
            step.name: json.loads(step.result)
            for step in self._ledger.steps(self._id)
            if step.kind in ran
        }
        succeeded = state is JobState.SUCCEEDED
        result = self._job.result.decode(job.result or "null") if succeeded else None
        return Performed(result, recorded, tuple(slept), tuple(self._waits()))
