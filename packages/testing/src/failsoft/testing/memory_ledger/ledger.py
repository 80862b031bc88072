"""The whole ledger in memory, for tests: the same promises as the SQL one, no database."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from failsoft.job_engine.attempt.interrupts import CancelRequested, Fenced
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import (
    JobNotFoundError,
    OptionInvalidError,
    TransactionUnsupportedError,
)
from failsoft.job_engine.ports.clock import spans_of_end
from failsoft.job_engine.ports.measures import Batch
from failsoft.job_engine.ports.traces import AttemptTrace
from failsoft.job_engine.ports.transactional import CallersTransaction
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    CancelOutcome,
    Claim,
    Conclusion,
    DispatchTry,
    JobRecord,
    Progress,
    StepRecord,
)
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import (
    CANCEL,
    EXHAUST,
    OFFER,
    PARK,
    RECOVER,
    REOFFER,
    STOP,
    SUCCEED,
    TRANSITIONS,
    UNCHARGE,
    JobState,
    Transition,
)
from failsoft.testing.memory_ledger.claims import MemoryClaims
from failsoft.testing.memory_ledger.clock_repair import MemoryClockRepair
from failsoft.testing.memory_ledger.console.activity import MemoryActivity
from failsoft.testing.memory_ledger.console.standing import MemoryStanding
from failsoft.testing.memory_ledger.control.control import MemoryControl
from failsoft.testing.memory_ledger.control.routes import MemoryRoutes
from failsoft.testing.memory_ledger.expiry import MemoryExpiry
from failsoft.testing.memory_ledger.flow import MemoryFlow
from failsoft.testing.memory_ledger.follow_ups import trigger
from failsoft.testing.memory_ledger.hand_over import MemoryHandOver
from failsoft.testing.memory_ledger.limits import has_room
from failsoft.testing.memory_ledger.notices import MemoryNotices
from failsoft.testing.memory_ledger.rows import has_authority
from failsoft.testing.memory_ledger.schedules import MemorySchedules
from failsoft.testing.memory_ledger.store import Change, Store, action
from failsoft.testing.memory_ledger.waits import MemoryWaits

_OFFERS = {
    JobState.SCHEDULED: OFFER,
    JobState.OFFERED: REOFFER,
    JobState.RUNNING: RECOVER,
}
_TARGETS = {transition.name: transition.target for transition in TRANSITIONS}
_TAKEN_AWAY = frozenset({RECOVER.name, EXHAUST.name})


class MemoryLedger(
    MemoryClaims,
    MemoryClockRepair,
    MemoryControl,
    MemoryRoutes,
    MemorySchedules,
    MemoryFlow,
    MemoryExpiry,
    MemoryHandOver,
    MemoryWaits,
    MemoryActivity,
    MemoryStanding,
    MemoryNotices,
):
    """`Ledger` in memory; every transition is decided by the one table.

    Any number of threads may use it. `down`, `fail_next` and `lose_replies` break the way to it.
    """

    def __init__(self, clock: Clock, actor: str = "memory") -> None:
        """Begin empty, with one signing key.

        Args:
            clock: What the database's clock is elsewhere.
            actor: The actor of the events.
        """
        store = Store(clock)
        store.on_end = partial(trigger, store)
        super().__init__(store, actor)
        self._clock = clock

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority and look for the step (rule 8)."""
        with self.transaction():
            row = self._store.rows.get(claim.job_id)
            if row is None or not has_authority(row, claim):
                raise Fenced
            if row.cancel_requested:
                raise CancelRequested
            recorded = self._store.steps[claim.job_id]
            return [step for step in recorded if step.name == name or step.seq == seq]

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step after the fence (rules 7 and 9)."""
        with self.transaction():
            if not self._store.fence(claim):
                raise Fenced
            self._store.insert_step(claim, step)

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Refuse: there is no transaction to share.

        Raises:
            TransactionUnsupportedError: Always.
        """
        raise TransactionUnsupportedError

    def silence(self, thread: int) -> float:
        """Return 0.0: it always answers."""
        return 0.0

    def note_progress(self, claim: Claim, progress: Progress) -> None:
        """Keep how far a job has come, after the fence (rule 7)."""
        with self.transaction():
            if not self._store.fence(claim):
                raise Fenced
            row = self._store.rows[claim.job_id]
            self._store.rows[claim.job_id] = replace(row, progress=progress)

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt; a pending cancel request wins over all but success (I9)."""
        with self.transaction():
            row = self._store.apply(*self._ending(claim, conclusion))
            if row is None:
                return self._concluded_before(claim)
            if conclusion.step is not None and row.state is conclusion.transition.target:
                self._store.insert_step(claim, conclusion.step)
                self._begin_to_wait(claim, conclusion)
            return row.state

    def uncharge(self, claim: Claim) -> bool:
        """Take back the crash that a rescuer charged for a lease that was lost to an outage."""
        with self.transaction():
            return self._uncharge(claim)

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew leases; return those that still have the authority (rule 12)."""
        with self.transaction():
            return [claim for claim in claims if self._store.fence(claim)]

    @property
    def system(self) -> str:
        """The kind of the database, as OpenTelemetry names it: another one."""
        return "other_sql"

    def note_trace(self, claim: Claim, context: str) -> AttemptTrace | None:
        """Keep the trace of an attempt, and return that of the newest one before it."""
        with self.transaction():
            attempts = self._store.attempts[claim.job_id]
            mine = attempts.get(claim.epoch)
            if mine is not None and mine.claim_id == claim.claim_id:
                attempts[claim.epoch] = replace(mine, trace_context=context)
            before = attempts.get(max((n for n in attempts if n < claim.epoch), default=0))
            if before is None or before.trace_context is None:
                return None
            return AttemptTrace(before.trace_context, before.outcome)

    def within(self, session: object) -> CallersTransaction:
        """Refuse: a ledger in memory shares no database."""
        raise OptionInvalidError(
            f"expected no session with a ledger in memory, got a {type(session).__name__}"
        )

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        """Hand over with a new epoch; None if the job is no longer as it was seen (rule 4)."""
        transition = _OFFERS.get(seen.state)
        detail = {"engine": plan.engine, "from": seen.engine, "reason": plan.reason}
        values = {"engine": plan.engine, "pickup_by": self._clock.now() + plan.pickup}
        with self.transaction():
            row = self._store.rows.get(seen.id)
            if plan.if_room and row is not None and not has_room(self._store, row):
                return None
            return None if transition is None else self._change(transition, seen, values, detail)

    def park(self, seen: JobRecord, delay: timedelta, reason: str) -> JobRecord | None:
        """Put an offered job that no engine took back to `scheduled`."""
        values = {"run_at": self._clock.now() + delay, "pickup_by": None}
        return self._change(PARK, seen, values, {"reason": reason})

    def exhaust(self, seen: JobRecord, error: ErrorRecord) -> JobRecord | None:
        """Fail a running job whose lease was lost once too often."""
        return self._change(EXHAUST, seen, {"error": error}, {"reason": "crash loop"})

    def postpone(self, seen: JobRecord, span: timedelta, *, missed: bool = True) -> None:
        """Look at a waiting job again after `span`."""
        with self.transaction():
            row = self._store.rows.get(seen.id)
            if row is None or _as_seen(row) != _as_seen(seen):
                return
            until = self._clock.now() + span
            if row.state is JobState.OFFERED:
                count = row.pickups_missed + missed
                self._store.rows[row.id] = replace(row, pickup_by=until, pickups_missed=count)
            elif row.state is JobState.SCHEDULED:
                self._store.rows[row.id] = replace(row, run_at=until)

    def note_tries(
        self, tries: Sequence[tuple[str, DispatchTry]], measured: Batch | None = None
    ) -> None:
        """Keep what became of offers: pairs of job id and try; and what the process has counted."""
        with self.transaction():
            self._measures.add(measured)
            for job_id, attempt in tries:
                self._note_try(job_id, attempt)

    @action
    def cancel(self, job_id: str, actor: str) -> CancelOutcome:
        """Cancel a job that waits, or request it of the attempt that runs it (R20)."""
        with self.transaction():
            if self._store.apply(CANCEL, Change(job_id, {}, {}, actor)) is not None:
                return CancelOutcome.CANCELLED
            row = self._store.rows.get(job_id)
            if row is None:
                raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
            if row.state.is_terminal:
                return CancelOutcome.ENDED
            self._store.request_cancel(job_id, actor, {})
            return CancelOutcome.REQUESTED

    def _ending(self, claim: Claim, conclusion: Conclusion) -> tuple[Transition, Change]:
        row = self._store.rows.get(claim.job_id)
        cancelled = row is not None and row.cancel_requested
        stops = cancelled and conclusion.transition is not SUCCEED
        guard = {"epoch": claim.epoch, "claim_id": claim.claim_id}
        detail = {"reason": conclusion.reason} if conclusion.reason else {}
        detail |= {} if stops else spans_of_end(conclusion)
        values = {} if stops else self._concluded_values(conclusion)
        error = conclusion.error
        change = Change(claim.job_id, guard, values, claim.worker, detail, error)
        return (STOP if stops else conclusion.transition), change

    def _concluded_values(self, conclusion: Conclusion) -> dict[str, Any]:
        kept = {"result": conclusion.result, "error": conclusion.error}
        values: dict[str, Any] = {k: value for k, value in kept.items() if value is not None}
        if conclusion.transition.target is JobState.SCHEDULED:
            values["run_at"] = conclusion.run_at or self._clock.now() + conclusion.delay
        return values

    def _concluded_before(self, claim: Claim) -> JobState:
        attempt = self._store.attempts[claim.job_id].get(claim.epoch)
        if attempt is None or attempt.claim_id != claim.claim_id:
            raise Fenced
        if attempt.outcome is None or attempt.outcome in _TAKEN_AWAY:
            raise Fenced
        return _TARGETS[attempt.outcome]

    def _uncharge(self, claim: Claim) -> bool:
        attempt = self._store.attempts[claim.job_id].get(claim.epoch)
        if attempt is None or (attempt.claim_id, attempt.outcome) != (claim.claim_id, RECOVER.name):
            return False
        events = self._store.history[claim.job_id]
        mine = {"claim": claim.claim_id, "lost": claim.epoch}
        if any(event.kind == UNCHARGE and event.detail == mine for event in events):
            return True
        row = self._store.rows[claim.job_id]
        if row.state.is_terminal or row.crashes == 0:
            return False
        # The heartbeat moves on: who was about to fail the job for its crashes must look again.
        changed = replace(
            row, crashes=row.crashes - 1, revision=row.revision + 1, events=row.events + 1
        )
        self._store.rows[claim.job_id] = changed
        self._store.append_event(changed, UNCHARGE, claim.worker, mine)
        return True

    def _note_try(self, job_id: str, attempt: DispatchTry) -> None:
        tries = self._store.tries[job_id]
        if not any(_same_try(known, attempt) for known in tries):
            tries.append(replace(attempt, at=self._clock.now()))


def _same_try(one: DispatchTry, other: DispatchTry) -> bool:
    return (one.epoch, one.engine, one.stage) == (other.epoch, other.engine, other.stage)


def _as_seen(job: JobRecord) -> tuple[JobState, int, int, int]:
    return job.state, job.epoch, job.revision, job.pickups_missed
