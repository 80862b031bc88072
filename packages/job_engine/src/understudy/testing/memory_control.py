"""What people do to the jobs of a ledger in memory."""

from dataclasses import replace
from typing import Any

from understudy.job_engine.records import JobRecord, StepKind
from understudy.job_engine.resolution import Resolution
from understudy.job_engine.states import RESUME
from understudy.testing.memory_reading import MemoryReading
from understudy.testing.memory_store import Change


class MemoryControl(MemoryReading):
    """`ControlLedger` in memory."""

    def resolve(self, seen: JobRecord, resolution: Resolution) -> JobRecord | None:
        """Let a held job go on, or end it; None if it is no longer as it was seen (rule 4)."""
        goes_on = resolution.transition is RESUME
        guard = {"state": seen.state, "epoch": seen.epoch, "hb": seen.hb}
        with self.transaction():
            in_doubt = {s.name for s in self._store.steps[seen.id] if s.kind is StepKind.INTENT}
            again = sorted(in_doubt - resolution.done.keys()) if goes_on else []
            values: dict[str, Any] = {"run_at": self._store.clock.now()} if goes_on else {}
            if resolution.result is not None:
                values["result"] = resolution.result
            detail = resolution.detail(again)
            change = Change(seen.id, guard, values, resolution.actor, detail)
            row = self._store.apply(resolution.transition, change)
            if row is not None and goes_on:
                self._settle(seen.id, resolution)
            return None if row is None else row.record()

    def _settle(self, job_id: str, resolution: Resolution) -> None:
        now, recorded = self._store.clock.now(), self._store.steps[job_id]
        for step in [each for each in recorded if each.kind is StepKind.INTENT]:
            recorded.remove(step)
            result = resolution.done.get(step.name)
            if result is not None:
                done = replace(step, kind=StepKind.ONCE, result=result, epoch=0, recorded_at=now)
                recorded.append(done)
