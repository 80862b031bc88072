"""What people do to the jobs of a ledger in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.records.engine_switch import DisabledEngine, EngineLoad
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.manual_retry import DeadLetters, ManualRetry
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.pauses import Pausable, Pause
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import RESUME, JobState
from failsoft.job_engine.values.canonical import digest
from failsoft.testing.memory_ledger.reader import MemoryReader
from failsoft.testing.memory_ledger.rows import Row, new_row
from failsoft.testing.memory_ledger.store import Change, action


class MemoryControl(MemoryReader):
    """`ControlLedger` in memory."""

    @action
    def resolve(self, seen: JobRecord, resolution: Resolution) -> JobRecord | None:
        """Let a held job go on, or end it; None if it is no longer as it was seen (rule 4)."""
        goes_on = resolution.transition is RESUME
        guard = {"state": seen.state, "epoch": seen.epoch, "revision": seen.revision}
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

    @action
    def retry(self, retry: ManualRetry) -> tuple[JobRecord, bool]:
        """Record a new job that does an ended job's work again (rule 19)."""
        with self.transaction():
            known = self._store.rows.get(retry.id)
            if known is not None:
                return known.record(), False
            retried = self._store.rows.get(retry.retry_of)
            if retried is None:
                raise JobNotFoundError(
                    f"expected the id of a job in the ledger, got {retry.retry_of!r}"
                )
            retry.check(retried)
            return self._do_again(retry, retried).record(), True

    def dead_letters(self, wanted: DeadLetters) -> Sequence[str]:
        """Return the ids of failed jobs that were not retried, the oldest first."""
        with self.transaction():
            now, tried = self._store.clock.now(), {r.retry_of for r in self._store.rows.values()}
            found = [
                (row.finished_at, row.id)
                for row in self._store.rows.values()
                if row.state is JobState.FAILED and row.finished_at and row.id not in tried
                if wanted.name in (None, row.name) and wanted.queue in (None, row.queue)
                if wanted.since is None or row.finished_at >= now - wanted.since
            ]
            return [job_id for _, job_id in sorted(found)[: wanted.limit]]

    def again(self, job_id: str) -> Sequence[JobRecord]:
        """Return the jobs that do a job's work again, the oldest first."""
        with self.transaction():
            found = [row for row in self._store.rows.values() if row.retry_of == job_id]
            found.sort(key=lambda row: (row.created_at, row.id))
            return [row.record() for row in found]

    @action
    def pause(self, pause: Pause) -> Pause:
        """Let nothing begin; return the pause that holds now."""
        with self.transaction():
            new = replace(pause, since=self._store.clock.now())
            return self._store.pauses.setdefault((pause.kind, pause.name), new)

    @action
    def unpause(self, kind: Pausable, name: str) -> bool:
        """Let jobs begin again; return whether it was paused."""
        with self.transaction():
            return self._store.pauses.pop((kind, name), None) is not None

    def pauses(self) -> Sequence[Pause]:
        """Return what is paused: queues, definitions, engines."""
        with self.transaction():
            paused = self._store.pauses.values()
            return sorted(paused, key=lambda p: (get_args(Pausable).index(p.kind), p.name))

    @action
    def disable_engine(self, engine: DisabledEngine) -> DisabledEngine:
        """Let an engine get no offers from any process; return what holds now."""
        with self.transaction():
            new = replace(engine, since=self._store.clock.now())
            return self._store.disabled_engines.setdefault(engine.name, new)

    @action
    def enable_engine(self, name: str) -> bool:
        """Let an engine get offers again; return whether it was disabled."""
        with self.transaction():
            return self._store.disabled_engines.pop(name, None) is not None

    def disabled_engines(self) -> Sequence[DisabledEngine]:
        """Return the engines that are disabled, by name."""
        with self.transaction():
            disabled = self._store.disabled_engines
            return [disabled[name] for name in sorted(disabled)]

    def engine_load(self, engine: str) -> EngineLoad:
        """Return what an engine still has: offers that wait there, and attempts that run."""
        with self.transaction():
            waiting = Counter(r.queue for r in self._in(JobState.OFFERED) if r.engine == engine)
            running = sum(row.engine == engine for row in self._in(JobState.RUNNING))
            return EngineLoad(dict(waiting), running)

    def _do_again(self, retry: ManualRetry, retried: Row) -> Row:
        recorded = sorted(self._store.steps[retried.id], key=lambda step: step.seq)
        place = retry.place(recorded)
        taken = [step for step in recorded if retry.takes_over(step, place)]
        row = replace(
            new_row(self._new(retry, retried), None, self._store.clock.now()),
            priority=retried.priority,
            engines=retried.engines,
            tags=retried.tags,
            depth=retried.depth,
            follow_ups=retry.follow_ups(retried),
            version=retry.version or retried.version,
            limits=retried.limits if retry.limits is None else retry.limits,
            retry_of=retried.id,
            idempotency_root=retry.idempotency_root(retried),
            trace_context=retry.trace_context(retried),
        )
        self._store.rows[row.id] = row
        self._store.steps[row.id] = [replace(step, epoch=0) for step in taken]
        self._store.received |= {(row.id, event) for event in retry.receipts(taken)}
        detail = retry.detail([step.name for step in taken])
        self._store.append_event(row, "dispatch", retry.actor, detail)
        return row

    def _new(self, retry: ManualRetry, retried: Row) -> NewJob:
        payload = retried.payload if retry.payload is None else retry.payload
        unique = retry.unique_key(retried)
        holder = self._store.holder_of(retried.name, unique) if unique else None
        if holder is not None:
            raise retry.refused_for(holder)
        sha = digest(payload)
        return NewJob(retry.id, retried.name, retried.queue, payload, sha, unique=unique)

    def _settle(self, job_id: str, resolution: Resolution) -> None:
        now, recorded = self._store.clock.now(), self._store.steps[job_id]
        for step in [each for each in recorded if each.kind is StepKind.INTENT]:
            recorded.remove(step)
            result = resolution.done.get(step.name)
            if result is not None:
                done = replace(step, kind=StepKind.ONCE, result=result, epoch=0, recorded_at=now)
                recorded.append(done)
