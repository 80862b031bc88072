"""Ledgers that leave what a clock that was ahead has written; the simulation must find each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from failsoft.job_engine.ports.ledger import RunningJob
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.testing import MemoryLedger


class SetsNothingBack(MemoryLedger):
    """A schedule waits for the tick that a clock ahead has chosen."""

    def set_back(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        return False


class MendsNothing(MemoryLedger):
    """What waits for a span waits for it on the clock that was ahead."""

    def mend(self, patience: Mapping[str, timedelta], ahead: timedelta) -> int:
        return 0


class TrustsLeases(MemoryLedger):
    """A lease is lost when the ledger's clock says so, and only then."""

    def running(self) -> Sequence[RunningJob]:
        with self.transaction():
            now = self._store.clock.now()
            ends = {row.id: row.lease_until for row in self._store.rows.values()}
        return [self._as_its_lease_says(job, ends[job.job_id], now) for job in super().running()]

    def _as_its_lease_says(
        self, job: RunningJob, ends: datetime | None, now: datetime
    ) -> RunningJob:
        if ends is not None and ends < now:
            return replace(job, expired=True)
        # No rescuer sees it stand still for so long.
        return replace(job, expired=False, lease=timedelta(days=1))


#: What each breaks, as it is reported.
BREAKS_OF_CLOCKS: Mapping[type[MemoryLedger], str] = {
    SetsNothingBack: "schedules",
    MendsNothing: "I1",
    TrustsLeases: "I1",
}
