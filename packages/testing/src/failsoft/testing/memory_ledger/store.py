"""What a ledger in memory is made of: rows, histories, and the one way to change a state."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import LedgerError, LedgerUnavailableError
from failsoft.job_engine.policies.uniqueness import UniqueKey
from failsoft.job_engine.ports.console import Notice
from failsoft.job_engine.ports.expiry import holds_unique_key
from failsoft.job_engine.ports.notices import Digest
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import (
    AttemptRecord,
    Claim,
    DispatchTry,
    HistoryEntry,
    StepKind,
    StepRecord,
    WorkerRecord,
)
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.routing.rule import RouteKind, RouteRule
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.job_engine.records.states import (
    CLAIM,
    CRASH_OUT,
    EXHAUST,
    REOFFER,
    JobState,
    Transition,
    permits,
)
from failsoft.job_engine.records.waits import WAKE, SentEvent, end_topic, waker
from failsoft.testing.memory_ledger.rows import Row, has_authority

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound="Connection")


@dataclass(frozen=True, slots=True)
class Change:
    """What a transition is tried with.

    Attributes:
        guard: What the transition's fence compares, as it was seen.
        values: What it sets.
        actor: The actor of its event.
        detail: Why, kept in its event.
        error: What the attempt ended with that the transition ends, if its job does not keep it.
    """

    job_id: str
    guard: Mapping[str, Any]
    values: Mapping[str, Any]
    actor: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: ErrorRecord | None = None


def action(
    method: Callable[Concatenate[C, P], T],
) -> Callable[Concatenate[C, P], T]:
    """Make a method one of those by which people act: the block that it is called in records it."""

    @wraps(method)
    def recorded(ledger: C, /, *given: P.args, **named: P.kwargs) -> T:
        with ledger.lock:
            result = method(ledger, *given, **named)
            ledger.acted(result)
        return result

    return recorded


class Connection:
    """The connection to a ledger, which breaks on demand."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_down = False
        self._failures = 0
        self._refusals = 0
        self._lost_replies = 0

    @property
    def lock(self) -> threading.RLock:
        """The lock that every transaction holds."""
        return self._lock

    def acted(self, result: object) -> None:
        """Take note of what an action returned."""

    def down(self) -> None:
        """Let every call fail, and change nothing, until `up`."""
        self._is_down = True

    def up(self) -> None:
        """Answer again."""
        self._is_down = False
        self._failures = self._lost_replies = self._refusals = 0

    def fail_next(self, times: int = 1) -> None:
        """Let the next calls fail and change nothing."""
        self._failures = times

    def refuse_next(self, times: int = 1) -> None:
        """Let the next calls be refused, as by a database error."""
        self._refusals = times

    def lose_replies(self, times: int = 1) -> None:
        """Let the next calls take effect and fail all the same (R12, R13)."""
        self._lost_replies = times

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the calls inside one transaction."""
        with self._lock:
            if self._is_down or self._failures > 0:
                self._failures = max(0, self._failures - 1)
                raise LedgerUnavailableError
            if self._refusals > 0:
                self._refusals -= 1
                raise LedgerError("the ledger's database refused: set by refuse_next")
            yield
            if self._lost_replies > 0:
                self._lost_replies -= 1
                raise LedgerUnavailableError


class Store:
    """The tables of a ledger in memory; every access is in a transaction."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        #: What happens when a job ends, in the same transaction.
        self.on_end: Callable[[Row], None] = lambda row: None
        self.rows: dict[str, Row] = {}
        self.steps: defaultdict[str, list[StepRecord]] = defaultdict(list)
        self.attempts: defaultdict[str, dict[int, AttemptRecord]] = defaultdict(dict)
        self.tries: defaultdict[str, list[DispatchTry]] = defaultdict(list)
        self.history: defaultdict[str, list[HistoryEntry]] = defaultdict(list)
        self.groups: dict[str, GroupRecord] = {}
        self.schedules: dict[str, ScheduleRecord] = {}
        #: Events that were sent, when, and until when they are kept.
        self.sent: dict[str, tuple[SentEvent, datetime, datetime]] = {}
        #: What rate limits count: a key, when an attempt of it began, until when that counts.
        self.starts: list[tuple[str, datetime, datetime]] = []
        self.received: set[tuple[str, str]] = set()
        self.pauses: dict[tuple[str, str], Pause] = {}
        self.disabled_engines: dict[str, DisabledEngine] = {}
        self.routes: dict[tuple[RouteKind, str], RouteRule] = {}
        #: When a process last looked at what the guard of a route watches.
        self.guard_turns: dict[tuple[RouteKind, str], datetime] = {}
        self.workers: dict[str, WorkerRecord] = {}
        #: Boot ids of worker processes that are marked as dead, and since when.
        self.deaths: dict[str, datetime] = {}
        self.notices: dict[str, Notice] = {}
        self.digests: dict[tuple[str, str], Digest] = {}

    def apply(self, transition: Transition, change: Change) -> Row | None:
        """Try a transition; return the changed row, or None if the job is not as it was seen."""
        row = self.rows.get(change.job_id)
        if row is None or not permits(transition, row, change.guard):
            return None
        if transition is CLAIM and self.is_held_back(row):
            return None
        now = self.clock.now()
        effects = _side_effects(transition, row, now, change.values.get("engine"))
        changed = replace(row, **{**effects, **change.values})
        self.rows[row.id] = changed
        if transition.ends_attempt:
            running, error = self.attempts[row.id][row.epoch], change.values.get("error")
            ended = replace(running, ended_at=now, outcome=transition.name)
            ended = replace(ended, error=change.error or error)
            self.attempts[row.id][row.epoch] = ended
        self.append_event(changed, transition.name, change.actor, change.detail)
        self._note_transition(transition, changed, change.detail)
        if changed.state.is_terminal:
            self.on_end(changed)
            end = waker({"job": changed.id, "state": str(changed.state)})
            self.wake(end_topic(changed.id), "follow-up", end)
        return changed

    def note(self, notice_id: str, kind: str, row: Row | None, detail: Mapping[str, Any]) -> None:
        """Record a notice, once."""
        new = Notice(
            id=notice_id,
            at=self.clock.now(),
            kind=kind,
            engine=row.engine if row else None,
            queue=row.queue if row else None,
            job_id=row.id if row else None,
            detail=dict(detail),
        )
        self.notices.setdefault(notice_id, new)

    def _note_transition(self, transition: Transition, row: Row, detail: Mapping[str, Any]) -> None:
        kind = {JobState.HELD: "job.hold", JobState.FAILED: "job.fail"}.get(transition.target)
        kind = "job.crash_loop" if transition in (CRASH_OUT, EXHAUST) else kind
        if kind is not None:
            reason = {"reason": detail["reason"]} if detail.get("reason") else {}
            self.note(f"{kind}:{row.id}:{row.events}", kind, row, reason)

    def request_cancel(self, job_id: str, actor: str, detail: Mapping[str, Any]) -> None:
        """Record a cancel request for a running job, once; otherwise do nothing."""
        row = self.rows[job_id]
        if row.state is JobState.RUNNING and not row.cancel_requested:
            requested = replace(row, cancel_requested=True, events=row.events + 1)
            self.rows[job_id] = requested
            self.append_event(requested, "cancel_request", actor, detail)

    def wake(self, topic: str, actor: str, detail: Mapping[str, Any]) -> int:
        """Make all jobs that wait for a topic due now; return how many (rule 22)."""
        waiting = [
            row
            for row in self.rows.values()
            if row.awaits == topic and row.state is JobState.SCHEDULED
        ]
        for row in waiting:
            now, events = self.clock.now(), row.events + 1
            woken = replace(row, run_at=now, awaits=None, events=events)
            self.rows[row.id] = woken
            self.append_event(woken, WAKE, actor, detail)
        return len(waiting)

    def holder_of(self, name: str, unique: UniqueKey) -> Row | None:
        """Find the job that holds a unique key; one whose period is over holds it no more."""
        now, key = self.clock.now(), (name, unique.key)
        for row in list(self.rows.values()):
            if (row.name, row.unique_key) == key and holds_unique_key(row):
                if not row.unique_until or row.unique_until > now:
                    return row
                # As in SQL, where an index cannot compare the time.
                self.rows[row.id] = replace(row, unique_key=None)
        return None

    def is_paused(self, row: Row) -> bool:
        """Return whether a pause covers a job."""
        return any(pause.covers(row.name, row.queue) for pause in self.pauses.values())

    def is_held_back(self, row: Row) -> bool:
        """Return whether a pause covers a job, or its engine."""
        paused = self.pauses.values()
        return any(pause.holds_back(row.name, row.queue, row.engine) for pause in paused)

    def append_event(self, row: Row, kind: str, actor: str, detail: Mapping[str, Any]) -> None:
        """Append to the history (rule 22)."""
        kept = json.loads(json.dumps(dict(detail)))
        self.history[row.id].append(
            HistoryEntry(
                row.id, row.events, self.clock.now(), actor, kind, row.state, row.epoch, kept
            )
        )

    def fence(self, claim: Claim) -> bool:
        """Renew the lease if the claim has the authority; return whether it has (rule 7)."""
        row = self.rows.get(claim.job_id)
        if row is None or not has_authority(row, claim):
            return False
        until = self.clock.now() + (row.lease or timedelta(0))
        self.rows[row.id] = replace(row, revision=row.revision + 1, lease_until=until)
        return True

    def insert_attempt(self, claim: Claim) -> None:
        """Note that an epoch was claimed, which happens once (I2)."""
        assert claim.epoch not in self.attempts[claim.job_id], "an epoch is claimed once"  # noqa: S101 - what a primary key says in SQL
        self.attempts[claim.job_id][claim.epoch] = AttemptRecord(
            claim.epoch, claim.claim_id, claim.engine, claim.worker, self.clock.now(), None, None
        )

    def insert_step(self, claim: Claim, step: StepRecord) -> None:
        """Record a step unless its name or its place is taken (rule 9).

        The result of a `once` step replaces the intent.
        """
        recorded = self.steps[claim.job_id]
        if step.kind is StepKind.ONCE:
            others = [s for s in recorded if (s.name, s.kind) != (step.name, StepKind.INTENT)]
            if len(others) == len(recorded):
                return
            recorded[:] = others
        if not any(known.name == step.name or known.seq == step.seq for known in recorded):
            recorded.append(replace(step, epoch=claim.epoch, recorded_at=self.clock.now()))


def _side_effects(
    transition: Transition, row: Row, now: datetime, engine: str | None
) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": transition.target,
        "revision": row.revision + 1,
        "events": row.events + 1,
    }
    if transition.new_epoch:
        moved = row.engine not in (None, engine)
        changes |= {"epoch": row.epoch + 1, "run_at": None, "handoffs": row.handoffs + moved}
        changes["taken_until"] = None
    if transition is REOFFER:
        changes["pickups_missed"] = row.pickups_missed + 1
    if transition.charges is not None:
        changes[transition.charges.value] = getattr(row, transition.charges) + 1
    if transition.ends_attempt:
        changes |= {"claim_id": None, "lease_until": None, "lease": None}
    if transition.target is JobState.RUNNING:
        changes |= {"started_at": row.started_at or now, "pickups_missed": 0, "pickup_by": None}
        changes["awaits"] = None
    if transition.target.is_terminal:
        changes |= {"finished_at": now, "run_at": None, "pickup_by": None, "awaits": None}
    return changes
