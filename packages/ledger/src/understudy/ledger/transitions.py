"""Every write of a job's state, and nothing else writes one (protocol 5.4).

Each is a single compare-and-set made from the transition table; the number of rows it touched
decides (rule 4). The event of a transition is appended in the same transaction (rule 22).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from understudy.job_engine.interrupts import Fenced
from understudy.job_engine.ledger_clock import spans_of_dispatch
from understudy.job_engine.records import Claim, JobRecord, StepKind, StepRecord
from understudy.job_engine.requests import NewJob, OfferPlan
from understudy.job_engine.states import CANCEL, JobState, Transition
from understudy.ledger import at_once, endings, remembering, rows, statements
from understudy.ledger.changing import (
    After,
    Cause,
    Change,
    append_event,
    compare_and_set,
    event_detail,
    event_of,
)
from understudy.ledger.channel import Channel
from understudy.ledger.instants import microseconds, stored
from understudy.ledger.prepared import AnyConnection, AnyRow, execute

__all__ = ["After", "Cause", "Change"]


def insert_job(
    connection: AnyConnection, job: NewJob, plan: OfferPlan | None, actor: str
) -> JobRecord | None:
    """Record a job, already offered if there is a plan (rules 1 and 3).

    Returns:
        The new job; None if its id or its idempotency key is taken, or remembered.
    """
    values: dict[str, Any] = {
        "id": job.id,
        "name": job.name,
        "queue": job.queue,
        "payload": job.payload,
        "payload_sha": job.payload_sha,
        "idempotency_key": job.idempotency_key,
        "priority": job.priority,
        "version": job.version,
        "engines": json.dumps(job.engines) if job.engines else "[]",
        "tags": json.dumps(job.tags) if job.tags else "[]",
        "sequel": job.sequel,
        "waits_for": job.waits_for,
    }
    extras = _extras(job)
    if plan is not None:
        values |= {"engine": plan.engine, "wait": microseconds(plan.pickup)}
    else:
        run_at = None if job.run_at is None else stored(job.run_at)
        wait = None if job.waits_for else microseconds(job.delay or timedelta(0))
        values |= {"run_at": run_at, "wait": wait}
    detail: dict[str, Any] = {"engine": plan.engine, "reason": plan.reason} if plan else {}
    detail |= spans_of_dispatch(job, offered=plan is not None)
    cause, insert = Cause(actor, detail), _Insert(plan is not None, frozenset(extras))
    values |= {} if job.key_for is None else remembering.key_of(job)
    row = _insert_with_event(connection, values | extras, cause, insert)
    return None if row is None else rows.new_record(job, plan, row)


def _extras(job: NewJob) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if job.expires_in is not None:
        extras["expires_in"] = microseconds(job.expires_in)
    elif job.expires_at is not None:
        extras["expires_at"] = stored(job.expires_at)
    extras |= rows.limit_columns(job.limits)
    if job.key_for is not None:
        extras["key_for"] = microseconds(job.key_for)
    if job.unique is not None:
        extras |= {"unique_key": job.unique.key, "unique_scope": job.unique.scope}
        if job.unique.period is not None:
            extras["unique_for"] = microseconds(job.unique.period)
    return extras


@dataclass(frozen=True, slots=True)
class _Insert:
    offered: bool
    extras: frozenset[str]


def _insert_with_event(
    connection: AnyConnection, values: Mapping[str, Any], cause: Cause, insert: _Insert
) -> AnyRow | None:
    given = {"offered": insert.offered, "extras": insert.extras}
    if connection.dialect.name == "postgresql":
        event = event_detail("dispatch", cause)
        return execute(connection, at_once.insert_job(**given), {**values, **event}).one_or_none()
    statement = statements.insert_job(connection.dialect.name, **given)
    row = execute(connection, statement, values).one_or_none()
    if row is not None:
        append_event(connection, event_of(row), "dispatch", cause)
    return row


def apply(connection: Connection, transition: Transition, change: Change) -> AnyRow | None:
    """Try a transition; return the changed row, or None if the job is not as it was seen."""
    row = compare_and_set(connection, transition, change)
    if row is not None and transition.target.is_terminal:
        endings.job_ended(connection, row)
    return row


def apply_alone(channel: Channel, transition: Transition, change: Change) -> AnyRow | None:
    """Try the transition of a job whose end sets nothing off; None also if it would."""
    if transition.target.is_terminal:
        change = replace(change, guard={**change.guard, "is_alone": True})
    return compare_and_set(channel, transition, change)


def cancel(connection: Connection, job_id: str, actor: str) -> AnyRow | None:
    """Cancel a job that no attempt runs; None if one does, or if it has ended (R20)."""
    return apply(connection, CANCEL, Change(job_id, {}, {}, Cause(actor, {})))


def request_cancel(connection: Connection, job_id: str, cause: Cause) -> bool:
    """Ask the attempt that runs the job to stop; False if none runs, or if it was asked."""
    row = connection.execute(statements.REQUEST_CANCEL, {"at_id": job_id}).one_or_none()
    if row is not None:
        append_event(connection, event_of(row), "cancel_request", cause)
    return row is not None


def fence(connection: AnyConnection, claim: Claim) -> None:
    """Prove the authority and renew the lease; the first statement of every worker write.

    Raises:
        Fenced: If another attempt has the authority (rule 7). The row lock also makes a
            rescuer wait until this transaction is over (R28).
    """
    if not has_authority(connection, claim):
        raise Fenced


def has_authority(connection: AnyConnection, claim: Claim) -> bool:
    """Tell whether an attempt has the authority, and renew its lease if so (rule 12)."""
    seen = {"at_id": claim.job_id, "at_epoch": claim.epoch, "at_claim_id": claim.claim_id}
    return execute(connection, statements.FENCE, seen).rowcount == 1


def note_progress(connection: Connection, claim: Claim, progress: str) -> None:
    """Keep how far a job has come, in the statement that is the fence (rule 7).

    Raises:
        Fenced: If another attempt has the authority.
    """
    seen = {"at_id": claim.job_id, "at_epoch": claim.epoch, "at_claim_id": claim.claim_id}
    noted = execute(connection, statements.NOTE_PROGRESS, seen | {"to_progress": progress})
    if noted.rowcount != 1:
        raise Fenced


def record_step(connection: AnyConnection, claim: Claim, step: StepRecord) -> bool:
    """Record a finished step once, after the fence (rules 7 and 9).

    Returns:
        Whether the attempt has the authority; nothing is written if another one has. That is no
        error here: the thread that finds it out may write for the one that is fenced.
    """
    if connection.dialect.name != "postgresql":
        held = has_authority(connection, claim)
        if held:
            insert_step(connection, claim, step)
        return held
    statement = at_once.SETTLE_STEP if step.kind is StepKind.ONCE else at_once.RECORD_STEP
    seen = {"at_id": claim.job_id, "at_epoch": claim.epoch, "at_claim_id": claim.claim_id}
    if execute(connection, statement, seen | _values_of(claim, step)).rowcount == 1:
        return True
    # It was recorded before, and the reply lost; or another attempt has the authority.
    return execute(connection, statements.HELD, seen).one_or_none() is not None


def insert_step(connection: AnyConnection, claim: Claim, step: StepRecord) -> None:
    """Record a finished step, once (rule 9); call it after the fence, in its transaction."""
    once = step.kind is StepKind.ONCE
    insert = statements.insert_step(connection.dialect.name)
    statement = statements.SETTLE_STEP if once else insert
    execute(connection, statement, {"at_job": claim.job_id, **_values_of(claim, step)})


def _values_of(claim: Claim, step: StepRecord) -> dict[str, Any]:
    if step.kind is StepKind.ONCE:
        return {"at_name": step.name, "to_result": step.result, "to_epoch": claim.epoch}
    return {
        "job_id": claim.job_id,
        "name": step.name,
        "seq": step.seq,
        "kind": step.kind,
        "result": step.result,
        "epoch": claim.epoch,
    }


def postpone(connection: Connection, seen: JobRecord, span: timedelta, *, missed: bool) -> None:
    """Look at a waiting job again later; changes no state, and no job that has moved on."""
    statement = statements.POSTPONE.get(seen.state)
    if statement is not None:
        guard = {"at_id": seen.id, "at_epoch": seen.epoch, "at_hb": seen.hb}
        guard |= {"at_pickups_missed": seen.pickups_missed, "to_span": microseconds(span)}
        counts = {"to_missed": int(missed)} if seen.state is JobState.OFFERED else {}
        connection.execute(statement, guard | counts)
