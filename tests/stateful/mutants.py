"""Ledgers that break one rule each, as a mistake might; the machine must find them."""

from collections.abc import Sequence
from dataclasses import fields, replace

from sqlalchemy import event

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.policies.uniqueness import UniqueKey
from failsoft.job_engine.records.job import Claim, JobRecord, StepRecord, Ticket
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.ledger import SqlLedger
from failsoft.ledger.database.sqlite import engine as sqlite
from failsoft.ledger.transitions import fenced_writes
from tests.stateful.databases import Bench


class ClaimsAnyEpoch(SqlLedger):
    """A claim compares no epoch: rule 6."""

    def claim(self, ticket: Ticket) -> Claim | None:
        return super().claim(replace(ticket, epoch=self.get(ticket.job_id).epoch))


class ClaimsForAnyEngine(SqlLedger):
    """A claim compares no engine: I8."""

    def claim(self, ticket: Ticket) -> Claim | None:
        engine = self.get(ticket.job_id).engine or ticket.engine
        return super().claim(replace(ticket, engine=engine))


class RecordsUnfenced(SqlLedger):
    """A step is recorded with any claim: rule 7."""

    def record(self, claim: Claim, step: StepRecord) -> None:
        self.database.write(lambda c: fenced_writes.insert_step(c, claim, step))


class BeginsUnasked(SqlLedger):
    """A step begins by what is recorded, with any claim: rule 8."""

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        return [step for step in self.steps(claim.job_id) if step.name == name or step.seq == seq]


class OffersById(SqlLedger):
    """A rescuer updates what it finds, not what it saw: rule 4."""

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        return super().offer(self.get(seen.id), plan)


class RenewsForAll(SqlLedger):
    """Every renewal is answered with authority: rule 12."""

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        super().renew(claims)
        return claims


class ForgetsLostReplies(SqlLedger):
    """A claim that was answered into the void is not recognised when it is repeated: R13."""

    def claim(self, ticket: Ticket) -> Claim | None:
        job = self.get(ticket.job_id)
        return None if job.epoch == ticket.epoch and job.claims else super().claim(ticket)


class HoldsBack(SqlLedger):
    """A pending cancel request is not heard at the next step: I9."""

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        if self.get(claim.job_id).cancel_requested:
            if not self.renew([claim]):
                raise Fenced
            return []
        return super().begin(claim, name, seq)


class _Keyless(ManualRetry):
    def unique_key(self, retried: JobRecord) -> UniqueKey | None:
        return None


class RetriesWithoutKey(SqlLedger):
    """What is done again holds no unique key: I10."""

    def retry(self, retrial: ManualRetry) -> tuple[JobRecord, bool]:
        given = {each.name: getattr(retrial, each.name) for each in fields(retrial)}
        return super().retry(_Keyless(**given))


MUTANTS: tuple[type[SqlLedger], ...] = (
    ClaimsAnyEpoch,
    ClaimsForAnyEngine,
    RecordsUnfenced,
    BeginsUnasked,
    OffersById,
    RenewsForAll,
    ForgetsLostReplies,
    HoldsBack,
    RetriesWithoutKey,
)


def without_transactions(bench: Bench) -> Bench:
    """Let SQLite begin no transaction: each statement is one of its own (R29)."""
    event.remove(bench.database.engine, "begin", sqlite._on_begin)
    return bench
