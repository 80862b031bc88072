"""Pulling in what was written while the clock was ahead, in memory."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from failsoft.job_engine.ports.clock import (
    BESIDE_WAITS,
    DISPATCH,
    SLACK,
    LedgerClock,
    mended_terms,
    mended_time,
)
from failsoft.job_engine.records.job import StepKind, StepRecord
from failsoft.job_engine.records.states import REPLACE, JobState
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import Connection, Store


class MemoryClockRepair(Connection):
    """`ClockLedger` in memory."""

    _store: Store

    def clock(self) -> LedgerClock:
        """Return the clock's time, and the latest instants that were written by it."""
        with self.transaction():
            rows, workers = self._store.rows.values(), self._store.workers.values()
            recorded = [row.created_at for row in rows]
            seen = [worker.seen_at for worker in workers if worker.seen_at]
            offered = [row for row in rows if row.state is JobState.OFFERED]
            pickups = [row.pickup_by for row in offered if row.pickup_by]
            newest, pickup = max(recorded + seen, default=None), max(pickups, default=None)
            return LedgerClock(self._store.clock.now(), newest, pickup)

    def mend(self, patience: Mapping[str, timedelta], ahead: timedelta) -> int:
        """Pull in what was written while the clock was ahead; return how much that was."""
        with self.transaction():
            count = mend_beats(self._store) + _mend_starts(self._store) + _mend_sent(self._store)
            count += _mend_routes(self._store)
            return count + sum(
                _mend(self._store, row, patience) for row in list(self._store.rows.values())
            )


def mend_beats(store: Store) -> int:
    """Date heartbeats from ahead of the clock to now."""
    now, count = store.clock.now(), 0
    for boot_id, worker in store.workers.items():
        if worker.seen_at and worker.live_until and worker.seen_at > now + SLACK:
            until = now + (worker.live_until - worker.seen_at)
            store.workers[boot_id] = replace(worker, seen_at=now, live_until=until)
            count += 1
    return count


def _mend_starts(store: Store) -> int:
    now = store.clock.now()
    ahead = sum(at > now + SLACK for _, at, _ in store.starts)
    store.starts = [
        (key, now, now + (until - at)) if at > now + SLACK else (key, at, until)
        for key, at, until in store.starts
    ]
    return ahead


def _mend_sent(store: Store) -> int:
    now = store.clock.now()
    ahead = [key for key, (_, at, _) in store.sent.items() if at > now + SLACK]
    span = max((store.sent[key][1] for key in ahead), default=now) - now
    for key in ahead:
        event, at, until = store.sent[key]
        store.sent[key] = (event, at - span, until - span)
    return len(ahead)


def _mend_routes(store: Store) -> int:
    now, count = store.clock.now(), 0
    for match, rule in store.routes.items():
        if rule.since is not None and rule.since > now + SLACK:
            until = rule.until and now + (rule.until - rule.since)
            store.routes[match] = replace(rule, since=now, until=until)
            count += 1
    return count


def _mend(store: Store, row: Row, patience: Mapping[str, timedelta]) -> int:
    now, history = store.clock.now(), store.history[row.id]
    changes: dict[str, Any] = {}
    if row.finished_at is not None and row.finished_at > now + SLACK:
        changes["finished_at"] = now
    latest = now + patience[row.queue] if row.queue in patience else None
    if (
        row.state is JobState.OFFERED
        and latest
        and row.pickup_by
        and row.pickup_by > latest + SLACK
    ):
        changes["pickup_by"] = latest
    for event in (each for each in history if each.kind in (DISPATCH, REPLACE.name)):
        changes |= mended_terms(row, event, now)
    due = mended_time(row, next(e for e in reversed(history) if e.kind not in BESIDE_WAITS), now)
    if due:
        store.steps[row.id] = [wait_of_now(step, now) for step in store.steps[row.id]]
    changes |= due
    store.rows[row.id] = replace(row, **changes)
    return int(bool(changes))


def wait_of_now(step: StepRecord, now: datetime) -> StepRecord:
    """Return a step; if it is a wait that began in the future, it begins now."""
    is_ahead = step.recorded_at is not None and step.recorded_at > now + SLACK
    return replace(step, recorded_at=now) if is_ahead and step.kind is StepKind.WAIT else step
