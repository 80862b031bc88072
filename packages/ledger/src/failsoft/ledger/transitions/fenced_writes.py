"""The writes of an attempt, each behind the fence: the proof of its authority (rules 7 and 12)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord
from failsoft.ledger.database.compiled import AnyConnection, Statement, execute
from failsoft.ledger.database.joint import JointWrite
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.transitions import postgresql, statements


def fence(connection: AnyConnection, claim: Claim) -> None:
    """Prove the authority and renew the lease; the first statement of every worker write.

    Raises:
        Fenced: If another attempt has the authority (rule 7). The row lock also makes a
            rescuer wait until this transaction is over (R28).
    """
    if not has_authority(connection, claim):
        raise Fenced


def has_authority(connection: AnyConnection, claim: Claim) -> bool:
    """Return whether an attempt has the authority, and renew its lease if so (rule 12)."""
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
    statement = postgresql.SETTLE_STEP if step.kind is StepKind.ONCE else postgresql.RECORD_STEP
    seen = {"at_id": claim.job_id, "at_epoch": claim.epoch, "at_claim_id": claim.claim_id}
    if execute(connection, statement, seen | _values_of(claim, step)).rowcount == 1:
        return True
    # It was recorded before, and the reply lost; or another attempt has the authority.
    return execute(connection, statements.HELD, seen).one_or_none() is not None


def statements_of_steps(dialect: str) -> Sequence[Statement]:
    """Return what `record_step` executes in a database of a dialect."""
    if dialect == "postgresql":
        return postgresql.RECORD_STEP, postgresql.SETTLE_STEP
    return statements.FENCE, statements.insert_step(dialect), statements.SETTLE_STEP


def joint_step(claim: Claim, step: StepRecord) -> JointWrite[bool] | None:
    """Return the same as a part of a statement that records steps of several attempts.

    None of a `once` step: it takes the place of its intent.
    """
    if step.kind is StepKind.ONCE:
        return None
    seen = {"at_id": claim.job_id, "at_epoch": claim.epoch, "at_claim_id": claim.claim_id}
    return JointWrite("step", claim.job_id, seen | _values_of(claim, step), _record_steps)


def _record_steps(raw: RawConnection, given: Sequence[Mapping[str, Any]]) -> Mapping[str, bool]:
    values = {"rows": json.dumps(given), "most": len(given)}
    return {row.id: True for row in execute(raw, postgresql.RECORD_STEPS, values).rows}


def insert_step(connection: AnyConnection, claim: Claim, step: StepRecord) -> None:
    """Record a finished step, once (rule 9); call it after the fence, in its transaction."""
    once = step.kind is StepKind.ONCE
    insert = statements.insert_step(connection.dialect.name)
    statement = statements.SETTLE_STEP if once else insert
    execute(connection, statement, {"at_job": claim.job_id, **_values_of(claim, step)})


def _values_of(claim: Claim, step: StepRecord) -> dict[str, Any]:
    if step.kind is StepKind.ONCE:
        done = {"at_name": step.name, "to_result": step.result, "to_epoch": claim.epoch}
        return done | {"to_elapsed_us": elapsed_us(step)}
    return {
        "job_id": claim.job_id,
        "name": step.name,
        "seq": step.seq,
        "kind": step.kind,
        "result": step.result,
        "epoch": claim.epoch,
        "elapsed_us": elapsed_us(step),
    }


def elapsed_us(step: StepRecord) -> int | None:
    """Return how long a step took as the ledger keeps it."""
    return None if step.elapsed is None else int(step.elapsed * 1e6)
