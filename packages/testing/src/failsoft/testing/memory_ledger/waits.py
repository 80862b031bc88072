"""What jobs in memory wait for: events that are sent, and jobs that they invoke."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import SentEvent, Wait, key_taken, waker
from failsoft.testing.memory_ledger.clock_repair import wait_of_now
from failsoft.testing.memory_ledger.dispatch import MemoryDispatch


class MemoryWaits(MemoryDispatch):
    """`WaitLedger` in memory."""

    def receive(self, claim: Claim, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Record what a step waits for, if it is there or the wait has lasted too long."""
        with self.transaction():
            if not self._store.fence(claim):
                raise Fenced
            recorded = self._store.steps[claim.job_id]
            known = next((each for each in recorded if each.name == step.name), None)
            if known is not None and known.kind is StepKind.ANSWERED:
                return known
            found = self._answer(claim.job_id, wait)
            if found is None and known is not None and self._is_late(known, wait):
                found = {"timeout": True}
            if found is None:
                # Nobody repaired the job, if it did not wait when the clock came back.
                recorded[:] = [wait_of_now(each, self._store.clock.now()) for each in recorded]
                return None
            if "id" in found:
                self._store.received.add((claim.job_id, str(found["id"])))
            met = StepRecord(step.name, step.seq, StepKind.ANSWERED, json.dumps(found))
            self._meet(claim, met)
            return met

    def send(self, event: SentEvent) -> int:
        """Keep an event and wake the jobs that wait for it; return how many."""
        with self.transaction():
            now = self._store.clock.now()
            self._store.sent.setdefault(event.id, (event, now, now + event.keep))
            return self._store.wake(event.topic, self._actor, waker({"id": event.id}))

    def _begin_to_wait(self, claim: Claim, conclusion: Conclusion) -> None:
        wait = conclusion.wait
        if wait is None:
            return
        refused = self._adopt(claim, conclusion)
        row = self._store.rows[claim.job_id]
        if wait.timeout is not None and conclusion.step is not None:
            until = self._deadline(claim.job_id, conclusion.step, wait)
            row = replace(row, run_at=min(until, row.run_at or until))
        self._store.rows[claim.job_id] = replace(row, awaits=wait.topic)
        answer = refused or self._answer(claim.job_id, wait)
        if answer is not None:
            self._store.wake(wait.topic, claim.worker, waker(answer))

    def _adopt(self, claim: Claim, conclusion: Conclusion) -> dict[str, Any] | None:
        """Record a job that is invoked, once; answer the step if another one holds its key."""
        child, step = conclusion.child, conclusion.step
        if child is None or step is None:
            return None
        record, created = self._recorded(child, None, claim.worker)
        if created:
            row = self._store.rows[child.id]
            self._store.rows[child.id] = replace(row, depth=claim.depth + 1, parent_id=claim.job_id)
        if record.id == child.id:
            return None
        refused = key_taken(child.id, record.id)
        self._meet(claim, replace(step, kind=StepKind.ANSWERED, result=json.dumps(refused)))
        return refused

    def _meet(self, claim: Claim, met: StepRecord) -> None:
        recorded = self._store.steps[claim.job_id]
        recorded[:] = [each for each in recorded if each.name != met.name]
        self._store.insert_step(claim, met)

    def _deadline(self, job_id: str, step: StepRecord, wait: Wait) -> datetime:
        known = next(each for each in self._store.steps[job_id] if each.name == step.name)
        assert known.recorded_at is not None  # noqa: S101 - a recorded step has it
        assert wait.timeout is not None  # noqa: S101 - the caller looked
        return known.recorded_at + wait.timeout

    def _is_late(self, known: StepRecord, wait: Wait) -> bool:
        if wait.timeout is None or known.recorded_at is None:
            return False
        return known.recorded_at + wait.timeout <= self._store.clock.now()

    def _answer(self, job_id: str, wait: Wait) -> dict[str, Any] | None:
        if wait.child_id is not None:
            return self._end_of(wait.child_id)
        for event in self._kept(wait.topic):
            if (job_id, event.id) not in self._store.received:
                return {"id": event.id, "payload": json.loads(event.payload)}
        return None

    def _kept(self, topic: str) -> Sequence[SentEvent]:
        now, sent = self._store.clock.now(), self._store.sent.values()
        kept = [(at, each) for each, at, until in sent if each.topic == topic and until > now]
        return [each for _, each in sorted(kept, key=lambda found: found[0])]

    def _end_of(self, job_id: str) -> dict[str, Any] | None:
        row = self._store.rows.get(job_id)
        if row is None:
            gone = {"type": "JobNotFoundError", "message": "it is gone", "traceback": ""}
            return {"job": job_id, "state": str(JobState.FAILED), "result": None, "error": gone}
        if not row.state.is_terminal:
            return None
        error = None if row.error is None else asdict(row.error)
        return {"job": job_id, "state": str(row.state), "result": row.result, "error": error}
