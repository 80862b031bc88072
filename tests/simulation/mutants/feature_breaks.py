"""Ledgers that break what a feature promises; the simulation must find every one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.policies.limits import NO_LIMITS
from failsoft.job_engine.records.job import Claim, JobRecord, StepKind, StepRecord, Ticket
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.schedules import ScheduleRecord, Tick, TickOutcome
from failsoft.job_engine.records.waits import SentEvent
from failsoft.ledger import SqlLedger
from failsoft.testing import MemoryLedger


class BeginsDoubtsAgain(MemoryLedger):
    """M9: it is not kept that a `once` step was begun."""

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        found = super().begin(claim, name, seq)
        self._store.steps[claim.job_id] = [
            step for step in self._store.steps[claim.job_id] if step.kind is not StepKind.INTENT
        ]
        return [step for step in found if step.kind is not StepKind.INTENT]


class LosesEvents(MemoryLedger):
    """An event without a waiting job is not kept."""

    def send(self, event: SentEvent) -> int:
        return 0


class SetsNothingOff(MemoryLedger):
    """The end of a job wakes no other job."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._store.on_end = lambda row: None


class WaitsForNothing(MemoryLedger):
    """Every job of a chain is due at once."""

    def record_chain(
        self, jobs: Sequence[NewJob], plan: OfferPlan | None
    ) -> tuple[Sequence[JobRecord], bool]:
        return super().record_chain([replace(job, waits_for=None) for job in jobs], plan)


class KnowsNoKeys(MemoryLedger):
    """No job holds a unique key."""

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        return super().record_job(replace(job, unique=None), plan)


class RetriesWithoutKeys(MemoryLedger):
    """What is done again holds no unique key."""

    def retry(self, retrial: ManualRetry) -> tuple[JobRecord, bool]:
        row = self._store.rows[retrial.retry_of]
        self._store.rows[row.id] = replace(row, unique_key=None)
        try:
            return super().retry(retrial)
        finally:
            self._store.rows[row.id] = row


class KnowsNoLimits(MemoryLedger):
    """No job is under a limit."""

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        return super().record_job(replace(job, limits=NO_LIMITS), plan)


class LosesTicks(MemoryLedger):
    """Every other tick is taken and makes no job."""

    def take_tick(self, seen: ScheduleRecord, tick: Tick) -> TickOutcome:
        lost = int(tick.at.timestamp()) % 2 == 0
        return super().take_tick(seen, replace(tick, job=None) if lost else tick)


class ExpiresNothing(MemoryLedger):
    """A claim may come too late."""

    def claim(self, ticket: Ticket) -> Claim | None:
        row = self._store.rows[ticket.job_id]
        self._store.rows[row.id] = replace(row, expires_at=None)
        try:
            return super().claim(ticket)
        finally:
            after = self._store.rows[row.id]
            self._store.rows[row.id] = replace(after, expires_at=row.expires_at)


class PausesNothing(MemoryLedger):
    """A pause keeps nothing from beginning."""

    def claim(self, ticket: Ticket) -> Claim | None:
        pauses = dict(self._store.pauses)
        self._store.pauses.clear()
        try:
            return super().claim(ticket)
        finally:
            self._store.pauses.update(pauses)


class ReplacesTheBegun(MemoryLedger):
    """Whatever a key stands for is replaced, whether it has begun or not."""

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        recorded, is_new = super().record_job(job, plan)
        if not is_new:
            row = self._store.rows[recorded.id]
            self._store.rows[row.id] = replace(row, payload=job.payload)
        return recorded, is_new


class TakesEffectTwice(SqlLedger):
    """A step's work is done twice in its transaction."""

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        def twice(connection: Any) -> str:
            work(connection)
            return work(connection)

        return super().record_in(claim, step, twice)


#: What each breaks, as it is reported.
BREAKS_OF_FEATURES: Mapping[type[MemoryLedger], str] = {
    BeginsDoubtsAgain: "I6",
    LosesEvents: "events",
    SetsNothingOff: "on_failure",
    WaitsForNothing: "flow",
    KnowsNoKeys: "I10",
    RetriesWithoutKeys: "I10",
    KnowsNoLimits: "I12",
    LosesTicks: "schedules",
    ExpiresNothing: "expiry",
    PausesNothing: "pause",
    ReplacesTheBegun: "replace",
}
