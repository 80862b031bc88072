"""Ledgers that break one rule each; the simulation must find every one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from failsoft.job_engine.ports.ledger import RunningJob
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.job import Claim, Conclusion, JobRecord, StepRecord, Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.testing import MemoryLedger


class ClaimsAnyEpoch(MemoryLedger):
    """M1: a claim ignores the epoch, and with it whose offer it is."""

    def claim(self, ticket: Ticket) -> Claim | None:
        job = self.get(ticket.job_id)
        return super().claim(replace(ticket, epoch=job.epoch, engine=job.engine or ticket.engine))


class ConcludesById(MemoryLedger):
    """M3: every attempt that ends writes it down, whatever became of the job meanwhile."""

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        row = self._store.rows[claim.job_id]
        mine = replace(claim, epoch=row.epoch)
        self._store.rows[row.id] = replace(row, state=JobState.RUNNING, claim_id=mine.claim_id)
        return super().conclude(mine, conclusion)


class BeginsUnasked(MemoryLedger):
    """M4: a step begins by what is recorded, with any claim."""

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        return [step for step in self.steps(claim.job_id) if step.name == name or step.seq == seq]


class RecordsUnfenced(MemoryLedger):
    """M3: a step is recorded with any claim."""

    def record(self, claim: Claim, step: StepRecord) -> None:
        self._store.insert_step(claim, step)


class OffersById(MemoryLedger):
    """M5: a rescuer writes what it decided, whatever became of the job meanwhile."""

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        row = self._store.rows[seen.id]
        self._store.rows[seen.id] = replace(row, state=seen.state, result=None, finished_at=None)
        return super().offer(self.get(seen.id), plan)


class MovesById(MemoryLedger):
    """M5: a rescuer that hands over many writes what it decided, as `OffersById` does for one."""

    def offer_many(self, seen: Sequence[JobRecord], plan: OfferPlan) -> Sequence[JobRecord]:
        for job in seen:
            row = self._store.rows[job.id]
            self._store.rows[job.id] = replace(row, state=job.state, result=None, finished_at=None)
        return super().offer_many([self.get(job.id) for job in seen], plan)


class ForgetsOffers(MemoryLedger):
    """M8: no rescuer looks at offers."""

    def unclaimed(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        return []

    def oldest_offers(self) -> Sequence[JobRecord]:
        return []


class ForgetsRunning(MemoryLedger):
    """M10: no rescuer looks at running jobs."""

    def running(self) -> Sequence[RunningJob]:
        return []


#: What each breaks, as it is reported.
BREAKS: Mapping[type[MemoryLedger], str] = {
    ClaimsAnyEpoch: "I8",
    ConcludesById: "I3",
    BeginsUnasked: "I5",
    RecordsUnfenced: "I3",
    OffersById: "rule 4",
    MovesById: "rule 4",
    ForgetsOffers: "I1",
    ForgetsRunning: "I1",
}
