"""One change of a job's state: the compare-and-set of a transition, and its event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from understudy.job_engine.states import Transition
from understudy.ledger import statements
from understudy.ledger.instants import microseconds, stored
from understudy.ledger.prepared import execute
from understudy.ledger.rows import AnyRow


@dataclass(frozen=True, slots=True)
class After:
    """A moment so long from now, on the database's clock, and no later than another one."""

    span: timedelta
    at_most: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Who makes a transition and why; kept in its event."""

    actor: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What a transition is tried with.

    Attributes:
        job_id: The job.
        guard: The columns that the transition's fence names, as they were seen, and any other
            column that must still hold a value.
        values: Columns to set; an `After` counts from the database's now.
        cause: What its event keeps.
    """

    job_id: str
    guard: Mapping[str, Any]
    values: Mapping[str, Any]
    cause: Cause


def compare_and_set(
    connection: Connection, transition: Transition, change: Change
) -> AnyRow | None:
    """Try a transition and append its event; nothing else that its end may set off.

    Returns:
        The changed row, or None if the job is not as it was seen.
    """
    spans = {name: value for name, value in change.values.items() if isinstance(value, After)}
    bounds = {name: value.at_most for name, value in spans.items() if value.at_most}
    statement = statements.compare_and_set(
        transition,
        frozenset(change.guard),
        frozenset(change.values),
        frozenset(spans),
        bounded=frozenset(bounds),
    )
    parameters = {f"at_{name}": value for name, value in change.guard.items()}
    parameters |= {f"to_{name}": value for name, value in change.values.items()}
    parameters |= {f"to_{name}": microseconds(value.span) for name, value in spans.items()}
    parameters |= {f"by_{name}": stored(moment) for name, moment in bounds.items()}
    row = connection.execute(statement, parameters | {"at_id": change.job_id}).one_or_none()
    if row is None:
        return None
    if transition.ends_attempt:
        ended = {"at_job": row.id, "at_epoch": change.guard["epoch"], "to_outcome": transition.name}
        execute(connection, statements.END_ATTEMPT, ended)
    append_event(connection, event_of(row), transition.name, change.cause)
    return row


def event_of(row: AnyRow) -> dict[str, Any]:
    """Return what an event says of the job it happened to."""
    return {"job_id": row.id, "n": row.events, "state": row.state, "epoch": row.epoch}


def append_event(connection: Connection, event: Mapping[str, Any], kind: str, cause: Cause) -> None:
    """Write the history on, in the transaction of what happened (rule 22)."""
    execute(connection, statements.INSERT_EVENT, {**event, **event_detail(kind, cause)})


def event_detail(kind: str, cause: Cause) -> dict[str, Any]:
    """Return what an event says of what happened."""
    return {"kind": kind, "actor": cause.actor, "detail": json.dumps(dict(cause.detail))}
