"""The rows of a ledger in memory."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from failsoft.job_engine.records.job import Claim, JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState


@dataclass(frozen=True, slots=True)
class Row(JobRecord):
    """A job with what only the ledger itself reads."""

    claim_id: str | None = None
    lease: timedelta | None = None
    events: int = 0
    awaits: str | None = None
    depth: int = 0
    taken_until: datetime | None = None

    def record(self) -> JobRecord:
        """Return what the others may see."""
        return JobRecord(**{column.name: getattr(self, column.name) for column in _SHOWN})


_SHOWN = fields(JobRecord)


def has_authority(row: Row, claim: Claim) -> bool:
    """Return whether a claim still has the authority (rule 7)."""
    mine = (JobState.RUNNING, claim.epoch, claim.claim_id)
    return (row.state, row.epoch, row.claim_id) == mine


def claim_of(row: Row, worker: str) -> Claim:
    """Return the claim that a claimed row stands for."""
    assert row.claim_id is not None  # noqa: S101 - a claimed row has one
    assert row.engine is not None  # noqa: S101 - the same
    assert row.lease is not None  # noqa: S101 - the same
    return Claim(
        job_id=row.id,
        epoch=row.epoch,
        claim_id=row.claim_id,
        engine=row.engine,
        worker=worker,
        name=row.name,
        queue=row.queue,
        payload=row.payload,
        attempt=row.claims,
        errors=row.errors,
        crashes=row.crashes,
        releases=row.releases,
        lease=row.lease,
        depth=row.depth,
        idempotency_root=row.idempotency_root,
        version=row.version,
        is_limited=bool(row.limits),
        trace_context=row.trace_context,
    )


def _due(job: NewJob, now: datetime) -> datetime | None:
    return None if job.waits_for else job.run_at or now + (job.delay or timedelta(0))


def expiry(job: NewJob, now: datetime) -> datetime | None:
    """Return by when a job must have begun."""
    return job.expires_at if job.expires_in is None else now + job.expires_in


def has_expired(row: JobRecord, now: datetime) -> bool:
    """Return whether a job that never began has expired."""
    return row.started_at is None and row.expires_at is not None and row.expires_at <= now


def new_row(job: NewJob, plan: OfferPlan | None, now: datetime) -> Row:
    """Return the row of a new job, already offered if there is a plan."""
    waits = plan is None
    return Row(
        id=job.id,
        name=job.name,
        queue=job.queue,
        state=JobState.SCHEDULED if waits else JobState.OFFERED,
        engine=plan.engine if plan else None,
        epoch=0 if waits else 1,
        revision=0,
        payload=job.payload,
        payload_sha=job.payload_sha,
        idempotency_key=job.idempotency_key,
        priority=job.priority,
        engines=tuple(job.engines),
        tags=tuple(job.tags),
        version=job.version,
        claims=0,
        errors=0,
        crashes=0,
        releases=0,
        handoffs=0,
        pickups_missed=0,
        cancel_requested=False,
        result=None,
        error=None,
        created_at=now,
        run_at=_due(job, now) if waits else None,
        pickup_by=now + plan.pickup if plan else None,
        lease_until=None,
        started_at=None,
        finished_at=None,
        follow_ups=job.follow_ups,
        waits_for=job.waits_for,
        expires_at=expiry(job, now),
        unique_key=job.unique.key if job.unique else None,
        unique_scope=job.unique.scope if job.unique else None,
        unique_until=now + job.unique.period if job.unique and job.unique.period else None,
        limits=job.limits,
        trace_context=job.trace_context,
        events=1,
    )
