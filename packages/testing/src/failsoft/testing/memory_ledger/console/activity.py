"""What has happened in a ledger in memory, what people did, and actions on many jobs."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from failsoft.job_engine.errors import JobNotFoundError, JobStateError, NotFoundError
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import (
    MOST_IN_A_TURN,
    AuditEntry,
    BulkAction,
    BulkRecord,
    BulkState,
    NewBulk,
    Notice,
    OpenBreaker,
    Page,
    Sample,
    bulk_entry,
    bulk_filter,
    checked_entry,
    outcome_of,
)
from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.ports.job_filter import JobFilter, checked
from failsoft.job_engine.records.job import CancelOutcome
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, RESUME, JobState
from failsoft.testing.memory_ledger.console.lists import (
    MemoryJobLists,
    Part,
    microseconds,
    page_of,
    place_in,
)
from failsoft.testing.memory_ledger.rows import Row

MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Tables:
    """What a ledger in memory keeps for a console."""

    audit: dict[str, AuditEntry] = field(default_factory=dict)
    samples: dict[datetime, list[Sample]] = field(default_factory=dict)
    breakers: dict[tuple[str, str], OpenBreaker] = field(default_factory=dict)
    bulks: dict[str, tuple[BulkRecord, Place | None]] = field(default_factory=dict)


class MemoryActivity(MemoryJobLists):
    """`Activity` and `BulkActions` in memory."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._tables = Tables()
        self._acting = threading.local()

    @contextmanager
    def acting(self, entry: AuditEntry) -> Iterator[None]:
        """Record an action with what it changes."""
        checked_entry(entry)
        self._acting.entry = entry
        try:
            yield
        finally:
            self._acting.entry = None

    def acted(self, result: object) -> None:
        """Record what a person did, if the block that it was done in says so."""
        entry = getattr(self._acting, "entry", None)
        if entry is not None:
            self._note(replace(entry, outcome=outcome_of(entry, result)))

    def audit(self, entry: AuditEntry) -> None:
        """Record an action that has changed nothing, as one that was refused."""
        checked_entry(entry)
        with self.transaction():
            self._note(entry)

    def audits(
        self, cursor: str | None = None, limit: int = 50, target: str | None = None
    ) -> Page[AuditEntry]:
        """Return the actions, or those on one target, the newest first."""
        with self.transaction():
            found = [e for e in self._tables.audit.values() if target in (None, e.target)]
            return page_of(found, _at, Part(cursor, limit, f"audit:{target!r}"))

    def notices(self, cursor: str | None = None, limit: int = 50) -> Page[Notice]:
        """Return the notices, the newest first."""
        with self.transaction():
            return page_of(self._store.notices.values(), _at, Part(cursor, limit, "notices:"))

    def breakers(self, fresh: timedelta) -> Sequence[OpenBreaker]:
        """Return the breakers that are open, as processes have said within a span."""
        with self.transaction():
            since = self._store.clock.now() - fresh
            found = [each for each in self._tables.breakers.values() if each.seen_at >= since]
            return sorted(found, key=lambda each: (each.engine, each.since, each.boot_id))

    def note_breakers(self, boot_id: str, open_: Mapping[str, tuple[timedelta, str]]) -> None:
        """Keep which breakers of a process are open."""
        with self.transaction():
            now = self._store.clock.now()
            others = {k: b for k, b in self._tables.breakers.items() if b.boot_id != boot_id}
            mine = {
                (boot_id, engine): OpenBreaker(boot_id, engine, now - span, reason, now)
                for engine, (span, reason) in open_.items()
            }
            self._tables.breakers = others | mine

    def note_switch(self, engine: str, direction: str, detail: Mapping[str, Any]) -> bool:
        """Record a notice that jobs left an engine, or that it has them again."""
        with self.transaction():
            now = self._store.clock.now()
            kind = f"engine.failed_{direction}"
            notice_id = f"{kind}:{engine}:{microseconds(now) // microseconds_of(MINUTE)}"
            is_new = notice_id not in self._store.notices
            notice = Notice(notice_id, now, kind, engine, None, None, dict(detail))
            self._store.notices.setdefault(notice_id, notice)
            return is_new

    def take_sample(self) -> bool:
        """Keep the figures of this minute, once."""
        with self.transaction():
            minute = self._store.clock.now().replace(second=0, microsecond=0)
            if minute in self._tables.samples:
                return False
            figures: dict[tuple[str, str, str], int] = {}
            for row in self._store.rows.values():
                metric = "waiting" if row.state is JobState.OFFERED else str(row.state)
                key = (row.queue, row.engine or "", metric)
                figures[key] = figures.get(key, 0) + 1
            kept = [Sample(minute, *key, value) for key, value in sorted(figures.items())]
            self._tables.samples[minute] = kept
            return True

    def samples(self, since: datetime) -> Sequence[Sample]:
        """Return the figures of the minutes since a moment, the oldest first."""
        with self.transaction():
            minutes = sorted(minute for minute in self._tables.samples if minute >= since)
            return [sample for minute in minutes for sample in self._tables.samples[minute]]

    def bulk_start(self, bulk: NewBulk) -> BulkRecord:
        """Record a bulk, with its entry in the audit; return it as it is if it is known."""
        bulk_filter(bulk.action, bulk.filter)
        entry = bulk_entry(bulk)
        checked_entry(entry)
        with self.transaction():
            now = self._store.clock.now()
            new = BulkRecord(
                bulk.id,
                BulkAction(bulk.action),
                checked(bulk.filter),
                bulk.expected,
                bulk.actor,
                bulk.source,
                bulk.reason,
                BulkState.RUNNING,
                0,
                0,
                now,
            )
            self._note(entry)
            return self._tables.bulks.setdefault(bulk.id, (new, None))[0]

    def bulk_turn(self, bulk_id: str, most: int = MOST_IN_A_TURN) -> BulkRecord:
        """Do the action to the next jobs that the filter chooses."""
        cursors.EXPECT.whole("a most", most, least=1, most=MOST_IN_A_TURN)
        with self.transaction():
            bulk, through = self._bulk(bulk_id)
            if bulk.state is not BulkState.RUNNING:
                return bulk
            wanted = _still(bulk)
            place = place_in(wanted)
            ordered = sorted(self.chosen(wanted), key=lambda row: _rank(place(row)))
            rest = [r for r in ordered if through is None or _rank(place(r)) > _rank(through)]
            done = sum(self._act(bulk, row) for row in rest[:most])
            failed = len(rest[:most]) - done
            moved = replace(bulk, done=bulk.done + done, failed=bulk.failed + failed)
            through = place(rest[most - 1]) if len(rest) >= most else through
            if len(rest) < most:
                moved = self._ended(moved, BulkState.DONE)
                self._note_done(moved)
            self._tables.bulks[bulk_id] = (moved, through)
            return moved

    def bulk_stop(self, bulk_id: str) -> BulkRecord:
        """Let a bulk have no further turn."""
        with self.transaction():
            bulk, through = self._bulk(bulk_id)
            if bulk.state is BulkState.RUNNING:
                bulk = self._ended(bulk, BulkState.STOPPED)
                self._tables.bulks[bulk_id] = (bulk, through)
            return bulk

    def bulk(self, bulk_id: str) -> BulkRecord:
        """Return a bulk."""
        with self.transaction():
            return self._bulk(bulk_id)[0]

    def bulks(self, cursor: str | None = None, limit: int = 50) -> Page[BulkRecord]:
        """Return the bulks, the newest first."""
        with self.transaction():
            found = [bulk for bulk, _ in self._tables.bulks.values()]
            return page_of(found, _at, Part(cursor, limit, "bulks:"))

    def _bulk(self, bulk_id: str) -> tuple[BulkRecord, Place | None]:
        if bulk_id not in self._tables.bulks:
            raise NotFoundError(f"expected the id of a bulk in the ledger, got {bulk_id!r}")
        return self._tables.bulks[bulk_id]

    def _act(self, bulk: BulkRecord, row: Row) -> bool:
        ledger: Any = self
        try:
            if bulk.action is BulkAction.CANCEL:
                return ledger.cancel(row.id, bulk.actor) is not CancelOutcome.ENDED
            if bulk.action is BulkAction.RETRY:
                ledger.retry(ManualRetry(row.id, bulk.actor, bulk.reason))
                return True
            decision = RESUME if bulk.action is BulkAction.RESUME else ABANDON
            resolution = Resolution(decision, bulk.actor, bulk.reason)
            return ledger.resolve(row.record(), resolution) is not None
        except (JobNotFoundError, JobStateError):
            return False

    def _ended(self, bulk: BulkRecord, state: BulkState) -> BulkRecord:
        return replace(bulk, state=state, ended_at=self._store.clock.now())

    def _note_done(self, bulk: BulkRecord) -> None:
        detail: dict[str, Any] = {"action": str(bulk.action), "bulk": bulk.id}
        detail |= {"done": bulk.done, "failed": bulk.failed}
        self._store.note(f"bulk.done:{bulk.id}", "bulk.done", None, detail)

    def _note(self, entry: AuditEntry) -> None:
        recorded = replace(entry, at=self._store.clock.now())
        self._tables.audit.setdefault(entry.id, recorded)


def microseconds_of(span: timedelta) -> int:
    """Return a span in whole microseconds."""
    return span // timedelta(microseconds=1)


def _at(item: Any) -> Place:
    return Place(microseconds(item.at), item.id)


def _rank(place: Place) -> tuple[int, str]:
    return -place.at, place.id


def _still(bulk: BulkRecord) -> JobFilter:
    wanted = bulk_filter(bulk.action, bulk.filter)
    until = wanted.get("until")
    return {**wanted, "until": bulk.at if until is None else min(until, bulk.at)}
