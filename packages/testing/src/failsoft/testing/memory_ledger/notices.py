"""The notices of a ledger in memory that are told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from failsoft.job_engine.ports.clock import BLOCKED_PAUSE
from failsoft.job_engine.ports.console import Notice
from failsoft.job_engine.ports.notices import (
    MOST_TOLD,
    UNSERVED_AFTER,
    Pending,
    Telling,
    Untold,
)
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger.dispatch import MemoryDispatch
from failsoft.testing.memory_ledger.rows import Row

_HOUR = timedelta(hours=1)


class MemoryNotices(MemoryDispatch):
    """`NoticeLedger` in memory."""

    def pending_notices(self, limit: int = MOST_TOLD) -> Pending:
        """Return the oldest notices that were not told, and every digest."""
        with self.transaction():
            kept = self._store.notices.values()
            untold = sorted((n for n in kept if n.told_at is None), key=lambda n: (n.at, n.id))
            digests = [self._store.digests[key] for key in sorted(self._store.digests)]
            found = [self._untold(notice) for notice in untold[:limit]]
            return Pending(self._store.clock.now(), found, digests)

    def tell(self, telling: Telling) -> bool:
        """Mark notices as told and record the jobs that tell them, in one transaction."""
        with self.transaction():
            known, digests = self._store.notices, self._store.digests
            if any(each not in known or known[each].told_at for each in telling.notices):
                return False
            if any(digests.get((new.rule, new.topic)) != seen for seen, new in telling.digests):
                return False
            for each in telling.notices:
                known[each] = replace(known[each], told_at=self._store.clock.now())
            digests |= {(new.rule, new.topic): new for _, new in telling.digests}
            for job in telling.jobs:
                self._recorded(job, None, self._actor)
            return True

    def note_unserved(self) -> Sequence[str]:
        """Record a notice for each queue in which a job waits and that no live worker serves."""
        with self.transaction():
            now = self._store.clock.now()
            hour, kind = int(now.timestamp()) // int(_HOUR.total_seconds()), "queue.unserved"
            noted = list[str]()
            for queue in sorted(
                {row.queue for row in self._store.rows.values() if self._waits(row)}
            ):
                notice_id = f"{kind}:{queue}:{hour}"
                if notice_id not in self._store.notices:
                    self._store.notices[notice_id] = Notice(
                        notice_id, now, kind, None, queue, None, {}
                    )
                    noted.append(queue)
            return noted

    def _untold(self, notice: Notice) -> Untold:
        row = self._store.rows.get(notice.job_id or "")
        if row is None:
            return Untold(notice, notice.detail.get("job"))
        return Untold(notice, row.name, None if row.error is None else row.error.type)

    def _waits(self, row: Row) -> bool:
        """Return whether a job waits in a queue that no live worker serves."""
        now = self._store.clock.now()
        until = now + BLOCKED_PAUSE
        is_due = row.run_at is not None and row.run_at <= until
        waits = row.state is JobState.OFFERED or (row.state is JobState.SCHEDULED and is_due)
        if not waits or row.created_at > now - UNSERVED_AFTER or self._store.is_paused(row):
            return False
        return all(worker.queue != row.queue for worker in self.live_workers())
