"""Expiring and replacing jobs that wait, in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from failsoft.job_engine.errors import JobExpiredError
from failsoft.job_engine.ports.clock import spans_of_dispatch
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import EXPIRE, REPLACE, Transition
from failsoft.testing.memory_ledger.dispatch import MemoryDispatch
from failsoft.testing.memory_ledger.rows import expiry, has_expired
from failsoft.testing.memory_ledger.store import Change


def _due(seen: JobRecord, new: NewJob, now: datetime) -> datetime:
    due = new.run_at or now + (new.delay or timedelta(0))
    return due if new.latest_in is None else min(due, seen.created_at + new.latest_in)


class MemoryExpiry(MemoryDispatch):
    """`ExpiryLedger` in memory."""

    def expired(self, limit: int) -> Sequence[JobRecord]:
        """Return jobs that should have begun by now and have not, the oldest first."""
        with self.transaction():
            now = self._store.clock.now()
            rows = (row for row in self._store.rows.values() if row.is_unbegun)
            late = [row for row in rows if has_expired(row, now)]
            late.sort(key=lambda row: (row.expires_at, row.id))
            return [row.record() for row in late[:limit]]

    def expire(self, seen: JobRecord) -> JobRecord | None:
        """Cancel a job that has expired; None if it is no longer as it was seen."""
        error = ErrorRecord.of(JobExpiredError())
        return self._change(EXPIRE, seen, {"error": error}, {"reason": "expired"})

    def replace(self, seen: JobRecord, new: NewJob) -> JobRecord | None:
        """Give a job that was not begun the payload and the options of another dispatch."""
        now = self._store.clock.now()
        values = {
            "queue": new.queue,
            "payload": new.payload,
            "payload_sha": new.payload_sha,
            "version": new.version,
            "priority": new.priority,
            "engines": tuple(new.engines),
            "tags": tuple(new.tags),
            "run_at": _due(seen, new, now),
            "pickup_by": None,
            "expires_at": expiry(new, now),
            "limits": new.limits,
        }
        detail = {"reason": "dispatched again"} | spans_of_dispatch(new, offered=False)
        return self._change(REPLACE, seen, values, detail)

    def _change(
        self,
        transition: Transition,
        seen: JobRecord,
        values: Mapping[str, object],
        detail: Mapping[str, object],
    ) -> JobRecord | None:
        guard = {"state": seen.state, "epoch": seen.epoch, "revision": seen.revision}
        with self.transaction():
            change = Change(seen.id, guard, values, self._actor, detail)
            row = self._store.apply(transition, change)
            return None if row is None else row.record()
