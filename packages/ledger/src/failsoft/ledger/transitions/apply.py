"""Every write of a job's state, and nothing else writes one (rule 4).

Each is a single compare-and-set made from the transition table; the number of rows it touched
decides (rule 4). The event of a transition is appended in the same transaction (rule 22).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import CANCEL, JobState, Transition
from failsoft.ledger.database.compiled import AnyRow, Statement, execute
from failsoft.ledger.database.joint import JointWrite
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.database.timestamps import microseconds
from failsoft.ledger.transitions import statements
from failsoft.ledger.transitions.compare_and_set import (
    After,
    Cause,
    Change,
    compare_and_set,
    joint,
    statements_of,
)
from failsoft.ledger.transitions.consequences import on_end

__all__ = ["After", "Cause", "Change"]


def apply(connection: Connection, transition: Transition, change: Change) -> AnyRow | None:
    """Try a transition; return the changed row, or None if the job is not as it was seen."""
    row = compare_and_set(connection, transition, change)
    if row is not None and transition.target.is_terminal:
        on_end.job_ended(connection, row)
    return row


def apply_alone(raw: RawConnection, transition: Transition, change: Change) -> AnyRow | None:
    """Try the transition of a job whose end sets nothing off; None also if it would."""
    return compare_and_set(raw, transition, _alone(transition, change))


def joint_alone(transition: Transition, change: Change) -> JointWrite[AnyRow | None] | None:
    """Return the same as a part of a statement for several attempts; see `joint`."""
    return joint(transition, _alone(transition, change))


def statements_alone(dialect: str, transition: Transition, change: Change) -> Iterator[Statement]:
    """Return what `apply_alone` executes in a database of a dialect; see `statements_of`."""
    return statements_of(dialect, transition, _alone(transition, change))


def _alone(transition: Transition, change: Change) -> Change:
    if transition.target.is_terminal:
        return replace(change, guard={**change.guard, "is_alone": True})
    return change


def cancel(connection: Connection, job_id: str, actor: str) -> AnyRow | None:
    """Cancel a job that no attempt runs; None if one does, or if it has ended (R20).

    The row has what `statements.is_brief` leaves of it.
    """
    return apply(connection, CANCEL, Change(job_id, {}, {}, Cause(actor, {})))


def postpone(raw: RawConnection, seen: JobRecord, span: timedelta, *, missed: bool) -> None:
    """Look at a waiting job again later; changes no state, and no job that has moved on."""
    statement = statements.POSTPONE.get(seen.state)
    if statement is not None:
        guard = {"at_id": seen.id, "at_epoch": seen.epoch, "at_revision": seen.revision}
        guard |= {"at_pickups_missed": seen.pickups_missed, "to_span": microseconds(span)}
        counts = {"to_missed": int(missed)} if seen.state is JobState.OFFERED else {}
        execute(raw, statement, guard | counts)
