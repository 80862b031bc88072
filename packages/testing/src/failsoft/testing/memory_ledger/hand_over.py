"""The offers that wait at an engine, and their move to another one, in memory."""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import REOFFER, JobState
from failsoft.testing.memory_ledger.reader import MemoryReader
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import Change


class MemoryHandOver(MemoryReader):
    """`HandOverLedger` in memory."""

    _actor: str

    def oldest_offers(self) -> Sequence[JobRecord]:
        """Return the offer of each engine and queue whose pickup deadline comes first."""
        with self.transaction():
            first = dict[tuple[str | None, str], Row]()
            for row in _in_order(self._in(JobState.OFFERED)):
                first.setdefault((row.engine, row.queue), row)
            return [row.record() for row in first.values()]

    def begun_lately(self, engine: str, within: timedelta) -> bool:
        """Return whether an attempt runs that claimed an offer to the engine so shortly ago."""
        with self.transaction():
            since = self._store.clock.now() - within
            running = self._in(JobState.RUNNING)
            begun = (self._store.attempts[row.id][row.epoch] for row in running)
            return any(each.engine == engine and each.started_at > since for each in begun)

    def movable(
        self, engine: str, queue: str, limit: int, *, to: Collection[str], handoffs_below: int
    ) -> Sequence[JobRecord]:
        """Return offers that another engine may get, whether their deadline has passed or not."""
        reach = Reach(frozenset(to))
        with self.transaction():
            rows = _in_order(self._in(JobState.OFFERED))
            rows = [row for row in rows if (row.engine, row.queue) == (engine, queue)]
            rows = [row for row in rows if row.handoffs < handoffs_below and reach.may_offer(row)]
            return [row.record() for row in rows[:limit]]

    def offer_many(self, seen: Sequence[JobRecord], plan: OfferPlan) -> Sequence[JobRecord]:
        """Hand over offered jobs with a new epoch each, in one commit."""
        pickup_by = self._store.clock.now() + plan.pickup
        with self.transaction():
            moved = [self._store.apply(REOFFER, self._move(job, plan, pickup_by)) for job in seen]
            return [row.record() for row in moved if row is not None]

    def _move(self, seen: JobRecord, plan: OfferPlan, pickup_by: Any) -> Change:
        guard = {"state": JobState.OFFERED, "epoch": seen.epoch, "revision": seen.revision}
        detail = {"engine": plan.engine, "from": seen.engine, "reason": plan.reason}
        values = {"engine": plan.engine, "pickup_by": pickup_by}
        return Change(seen.id, guard, values, self._actor, detail)


def _in_order(rows: Iterable[Row]) -> list[Row]:
    with_deadline = [(row.pickup_by, n, row) for n, row in enumerate(rows) if row.pickup_by]
    return [row for _, _, row in sorted(with_deadline)]
