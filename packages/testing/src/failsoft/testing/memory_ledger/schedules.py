"""The schedules of a ledger in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from failsoft.job_engine.policies.notifications import SKIPS
from failsoft.job_engine.records.schedules import (
    SET_BACK,
    ScheduleDeclaration,
    ScheduleRecord,
    Tick,
    TickOutcome,
    skip_notice,
    skipped,
)
from failsoft.testing.memory_ledger.dispatch import MemoryDispatch


class MemorySchedules(MemoryDispatch):
    """`ScheduleLedger` in memory."""

    def schedules(self) -> tuple[datetime, Sequence[ScheduleRecord]]:
        """Return the clock's time and every schedule, by name."""
        with self.transaction():
            now, kept = self._store.clock.now(), self._store.schedules
            return now, [replace(kept[name], read_at=now) for name in sorted(kept)]

    def declare_schedule(self, seen: ScheduleRecord | None, new: ScheduleDeclaration) -> bool:
        """Record a schedule, or replace its spec; return whether that was done."""
        with self.transaction():
            now, kept = self._store.clock.now(), self._store.schedules
            known = kept.get(new.name)
            if (known and known.spec) != (seen and seen.spec):
                return False
            fresh = known or ScheduleRecord(new.name, new.spec, now, now, new.next_at)
            changes: dict[str, Any] = {"spec": new.spec, "next_at": new.next_at}
            kept[new.name] = replace(fresh, **changes, former=new.former, declared_at=now)
            return True

    def confirm_schedules(self, specs: Sequence[tuple[str, str]]) -> None:
        """Note that a process runs these specs; others are left alone."""
        with self.transaction():
            now, kept = self._store.clock.now(), self._store.schedules
            for name, spec in specs:
                if name in kept and kept[name].spec == spec:
                    kept[name] = replace(kept[name], declared_at=now)

    def take_tick(self, seen: ScheduleRecord, tick: Tick) -> TickOutcome:
        """Fire a tick, or leave it out, in one transaction with its job."""
        with self.transaction():
            known = self._store.schedules.get(seen.name)
            if known is None or known.paused or _place(known) != _place(seen):
                return TickOutcome.STALE
            job, reason = tick.job, tick.reason
            if tick.unless_running and self._runs(seen, tick.at):
                job, reason = None, "the job of the tick before has not ended"
            values: dict[str, Any] = {"next_at": tick.next_at}
            if job is None:
                values |= skipped(seen, tick, reason)
            else:
                values |= {"last_at": tick.at, "last_job_id": job.id, "skips": 0}
                if self.record_job(job, None)[0].id != job.id:
                    # Another job has its key: this one is left out.
                    reason = "another job has its key"
                    values = {"next_at": tick.next_at, **skipped(seen, tick, reason)}
                    job = None
            if values["skips"] == SKIPS:
                detail = {"job": seen.name, "reason": reason}
                self._store.note(skip_notice(seen, tick), "schedule.skip", None, detail)
            self._store.schedules[seen.name] = replace(known, **values)
            return TickOutcome.SKIPPED if job is None else TickOutcome.FIRED

    def set_back(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        """Let an earlier tick be the next; False if the schedule is no longer as it was seen."""
        with self.transaction():
            known = self._store.schedules.get(seen.name)
            if known is None or _place(known) != _place(seen):
                return False
            self._store.schedules[seen.name] = replace(
                known, next_at=next_at, skipped_at=seen.next_at, skip_reason=SET_BACK
            )
            return True

    def pause_schedule(self, name: str) -> bool:
        """Fire no tick until it is resumed; False if there is no such schedule."""
        with self.transaction():
            kept = self._store.schedules
            if name not in kept:
                return False
            kept[name] = replace(kept[name], paused=True)
            return True

    def resume_schedule(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        """Go on with a later tick; False if the spec is no longer as it was seen."""
        with self.transaction():
            known = self._store.schedules.get(seen.name)
            if known is None or known.spec != seen.spec:
                return False
            self._store.schedules[seen.name] = replace(known, paused=False, next_at=next_at)
            return True

    def _runs(self, seen: ScheduleRecord, tick: datetime) -> bool:
        row = self._store.rows.get(seen.last_job_id or "")
        if row is None or row.state.is_terminal:
            return False
        # Fired by a clock that was ahead, and still to come: it waits for its own tick.
        is_to_come = seen.last_at is not None and seen.last_at > tick
        return not is_to_come or row.epoch > 0


def _place(record: ScheduleRecord) -> tuple[str, datetime]:
    return record.spec, record.next_at
