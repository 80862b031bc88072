"""The measures of a ledger in memory."""

from collections import Counter
from collections.abc import Sequence

from failsoft.job_engine.ports.measures import (
    NOTICES,
    Batch,
    Ended,
    Failed,
    Figures,
    Series,
    TableSize,
)
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import Store


class MemoryMeasures:
    """`MeasureLedger` without its transactions; none of its jobs is ever pruned."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts = Counter[Series]()
        self._added = set[str]()

    def add(self, batch: Batch | None) -> None:
        """Add a batch, unless it was added."""
        if batch is not None and batch.id not in self._added:
            self._added.add(batch.id)
            self._counts.update(batch.counts)

    def figures(self) -> Figures:
        """Return what an exporter reads."""
        now, rows = self._store.clock.now(), list(self._store.rows.values())
        ended = Counter(
            (row.name, row.queue, row.engine or "", str(row.state))
            for row in rows
            if row.state.is_terminal
        )
        failed = Counter((row.name, row.queue) for row in rows if row.state is JobState.FAILED)
        scheduled = [row for row in rows if row.state is JobState.SCHEDULED]
        due = (row for row in scheduled if row.limits and row.run_at and row.run_at <= now)
        invokes = {row.parent_id for row in rows if not row.state.is_terminal}
        waiting = (row for row in scheduled if row.awaits is not None)
        told = Counter(
            Series(NOTICES, engine=notice.engine or "", labels=notice.kind)
            for notice in self._store.notices.values()
        )
        return Figures(
            now=now,
            counts=self._counts + told,
            ended=[Ended(*key, count) for key, count in ended.items()],
            failed=[Failed(*key, count) for key, count in failed.items()],
            limited=Counter(row.name for row in due),
            waits=Counter("job" if row.id in invokes else "event" for row in waiting)
            + Counter("sleep" for row in scheduled if row.awaits is None and self._sleeps(row)),
        )

    def sizes(self) -> Sequence[TableSize]:
        """Return how many jobs and steps there are."""
        steps = sum(map(len, self._store.steps.values()))
        return [TableSize("jobs", len(self._store.rows), None), TableSize("steps", steps, None)]

    def _sleeps(self, row: Row) -> bool:
        # A sleep ended the last attempt: the next one has another epoch.
        steps = self._store.steps.get(row.id, [])
        return any(step.kind is StepKind.SLEEP and step.epoch == row.epoch for step in steps)
