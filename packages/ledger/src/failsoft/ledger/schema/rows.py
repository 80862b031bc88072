"""Rows of the ledger as the values of the job engine."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from failsoft.job_engine.policies.limits import NO_LIMITS, Limit, Limits
from failsoft.job_engine.policies.uniqueness import UniqueScope
from failsoft.job_engine.ports.ledger import RunningJob
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import (
    AttemptRecord,
    Claim,
    DispatchTry,
    HistoryEntry,
    JobRecord,
    Progress,
    StepKind,
    StepRecord,
    TryOutcome,
    WorkerInfo,
    WorkerRecord,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import instant, microseconds
from failsoft.ledger.schema import packed_events


def new_record(job: NewJob, plan: OfferPlan | None, row: AnyRow) -> JobRecord:
    """Return the record of a job that was just inserted; the row has its times as integers."""
    run_at, pickup_by = row.run_at, row.pickup_by
    expires = job.expires_at is not None or job.expires_in is not None
    is_held_for_a_period = job.unique is not None and job.unique.period is not None
    return JobRecord(
        id=job.id,
        name=job.name,
        queue=job.queue,
        state=JobState.OFFERED if plan else JobState.SCHEDULED,
        engine=plan.engine if plan else None,
        epoch=1 if plan else 0,
        payload=job.payload,
        payload_sha=job.payload_sha,
        idempotency_key=job.idempotency_key,
        priority=job.priority,
        engines=job.engines,
        tags=job.tags,
        version=job.version,
        follow_ups=job.follow_ups,
        waits_for=job.waits_for,
        trace_context=job.trace_context,
        created_at=instant(row.created_at),
        run_at=None if run_at is None else instant(run_at),
        pickup_by=None if pickup_by is None else instant(pickup_by),
        # Only what was set is read back.
        expires_at=instant(row.expires_at) if expires else None,
        unique_key=job.unique.key if job.unique else None,
        unique_scope=job.unique.scope if job.unique else None,
        unique_until=instant(row.unique_until) if is_held_for_a_period else None,
        limits=job.limits,
    )


def limits(row: AnyRow) -> Limits:
    """Read the limits of a job."""
    concurrency = rate = None
    if row.concurrency_key is not None:
        concurrency = Limit(row.concurrency_key, row.concurrency_limit)
    if row.rate_key is not None:
        rate = Limit(row.rate_key, row.rate_limit, timedelta(microseconds=row.rate_period))
    return Limits(concurrency, rate) if concurrency or rate else NO_LIMITS


def limit_columns(limits: Limits) -> dict[str, Any]:
    """Return what the ledger keeps of a job's limits: only the columns that have a value."""
    columns: dict[str, Any] = {}
    if limits.concurrency is not None:
        columns |= {"concurrency_key": limits.concurrency.key}
        columns |= {"concurrency_limit": limits.concurrency.most}
    if limits.rate is not None and limits.rate.period is not None:
        columns |= {"rate_key": limits.rate.key, "rate_limit": limits.rate.most}
        columns |= {"rate_period": microseconds(limits.rate.period)}
    return columns


def error_text(error: ErrorRecord | None) -> str | None:
    """Return an error as the JSON the ledger keeps."""
    if error is None:
        return None
    return json.dumps({"type": error.type, "message": error.message, "traceback": error.traceback})


def error_record(text: str | None) -> ErrorRecord | None:
    """Read an error."""
    return None if text is None else ErrorRecord(**json.loads(text))


def progress_text(progress: Progress) -> str:
    """Return a progress as the JSON the ledger keeps."""
    return json.dumps(
        {
            "done": progress.done,
            "total": progress.total,
            "note": progress.note,
            "at": progress.at.isoformat(),
        }
    )


def progress_record(text: str | None) -> Progress | None:
    """Read a progress."""
    if text is None:
        return None
    kept = json.loads(text)
    return Progress(**{**kept, "at": datetime.fromisoformat(kept["at"])})


#: What a row of `jobs` and its record do not keep in the same form.
_READ: Mapping[str, Callable[[AnyRow], Any]] = {
    "state": lambda row: JobState(row.state),
    "engines": lambda row: tuple(json.loads(row.engines)),
    "tags": lambda row: tuple(json.loads(row.tags)),
    "error": lambda row: error_record(row.error),
    "progress": lambda row: progress_record(row.progress),
    "unique_scope": lambda row: row.unique_scope and UniqueScope(row.unique_scope),
    "limits": limits,
    "is_pruned": lambda row: False,
}
_AS_THEY_ARE = tuple(f.name for f in fields(JobRecord) if f.name not in _READ)


def job_record(row: AnyRow) -> JobRecord:
    """Read a row of `jobs`."""
    values = {name: getattr(row, name) for name in _AS_THEY_ARE}
    return JobRecord(**values, **{name: read(row) for name, read in _READ.items()})


def handed_over(seen: JobRecord, row: AnyRow) -> JobRecord:
    """Return a job as it was seen, with what its hand-over changed."""
    return replace(
        seen,
        state=JobState(row.state),
        engine=row.engine,
        epoch=row.epoch,
        revision=row.revision,
        handoffs=row.handoffs,
        pickups_missed=row.pickups_missed,
        run_at=row.run_at,
        pickup_by=row.pickup_by,
    )


def claim(row: AnyRow, worker: str) -> Claim:
    """Read the claim that a claimed row of `jobs` stands for."""
    age = _age(row)
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
        lease=timedelta(microseconds=row.lease_us),
        depth=row.depth,
        idempotency_root=row.idempotency_root,
        version=row.version,
        is_limited=bool(limits(row)),
        trace_context=row.trace_context,
        age=age,
        waited=age if row.claims == 1 and getattr(row, "offered_at_once", False) else None,
    )


def _age(row: AnyRow) -> timedelta | None:
    """Return how long ago a job was recorded that is claimed now, by what stands in its row."""
    # Integers where the claim is made now; a claim whose reply was lost is read later.
    if not isinstance(row.created_at, int):
        return None
    return timedelta(microseconds=row.lease_until - row.lease_us - row.created_at)


def running_job(row: AnyRow) -> RunningJob:
    """Read what a rescuer watches."""
    lease = timedelta(microseconds=row.lease_us or 0)
    return RunningJob(
        row.id, row.epoch, row.revision, lease, bool(row.expired), bool(row.is_orphan)
    )


def step_record(row: AnyRow) -> StepRecord:
    """Read a row of `steps`."""
    return _step(row, row.recorded_at)


def step_as_stored(row: AnyRow) -> StepRecord:
    """Read a row of `steps` whose time is still the integer that the database keeps."""
    return _step(row, instant(row.recorded_at))


def _step(row: AnyRow, recorded_at: datetime) -> StepRecord:
    elapsed = None if row.elapsed_us is None else row.elapsed_us / 1e6
    kind = StepKind(row.kind)
    return StepRecord(row.name, row.seq, kind, row.result, row.epoch, recorded_at, elapsed)


def attempt_record(row: AnyRow) -> AttemptRecord:
    """Read a row of `attempts`."""
    return AttemptRecord(**_same(AttemptRecord, row, "error"), error=error_record(row.error))


def dispatch_try(row: AnyRow) -> DispatchTry:
    """Read a row of `dispatch_attempts`."""
    return DispatchTry(
        row.engine,
        row.epoch,
        row.stage,
        TryOutcome(row.outcome),
        row.reason,
        row.elapsed_us / 1e6,
        row.at,
    )


def event_record(row: AnyRow) -> HistoryEntry:
    """Read a row of `events`."""
    return HistoryEntry(
        row.job_id,
        row.n,
        row.at,
        row.actor,
        row.kind,
        JobState(row.state),
        row.epoch,
        json.loads(row.detail),
    )


def history(job: AnyRow, others: Iterable[AnyRow]) -> Sequence[HistoryEntry]:
    """Read the events of a row of `jobs`: those that stand in it, and its rows of `events`.

    Raises:
        ValueError: One cannot be read.
    """
    found = [
        *packed_events.unpacked(job.id, job.created_at, job.history),
        *map(event_record, others),
    ]
    return sorted(found, key=attrgetter("n"))


def worker_record(row: AnyRow) -> WorkerRecord:
    """Read a row of `workers`."""
    kept = _same(WorkerRecord, row, "machine", "birth", "info")
    said = json.loads(row.info)
    info = WorkerInfo(**{**said, "breakers": tuple(said.get("breakers", ()))})
    return WorkerRecord(**kept, machine=row.machine or "", birth=row.birth or "", info=info)


def worker_info(info: WorkerInfo) -> str:
    """Return what a worker says of itself as the JSON the ledger keeps."""
    return json.dumps(asdict(info), separators=(",", ":"))


def group_record(row: AnyRow) -> GroupRecord:
    """Read a row of `groups`."""
    return GroupRecord(**_same(GroupRecord, row, "when"), when=row.policy)


def schedule_record(row: AnyRow, now: datetime) -> ScheduleRecord:
    """Read a row of `schedules` that was read at a moment."""
    kept = _same(ScheduleRecord, row, "read_at", "former")
    return ScheduleRecord(**kept, read_at=now, former=tuple(json.loads(row.former)))


def _same(record: type[Any], row: AnyRow, *others: str) -> dict[str, Any]:
    """Return what a record has of a row as it is, without some attributes."""
    names = (each.name for each in fields(record) if each.name not in others)
    return {name: getattr(row, name) for name in names}
