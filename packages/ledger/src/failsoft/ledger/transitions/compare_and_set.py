"""One change of a job's state: the compare-and-set of a transition, and its event."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from failsoft.job_engine.records.states import CLAIM, Transition
from failsoft.ledger.database.compiled import AnyConnection, AnyRow, Statement, execute, read
from failsoft.ledger.database.joint import JointWrite
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.database.timestamps import microseconds, stored
from failsoft.ledger.schema import packed_events
from failsoft.ledger.transitions import counters, notices, postgresql, statements


@dataclass(frozen=True, slots=True)
class After:
    """A moment so long from now, on the database's clock, and no later than another one."""

    span: timedelta
    at_most: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """The actor and the reason of a transition; kept in its event."""

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
        error: What the attempt ended with that the transition ends, as the ledger keeps it.
    """

    job_id: str
    guard: Mapping[str, Any]
    values: Mapping[str, Any]
    cause: Cause
    error: str | None = None


#: The values of a change that count from now, and the moments that they end at.
_Spans = tuple[Mapping[str, After], Mapping[str, datetime]]


def compare_and_set(
    connection: AnyConnection, transition: Transition, change: Change
) -> AnyRow | None:
    """Try a transition; note its attempt and its event, and count it if it is the job's end.

    Nothing else that the end of a job may set off.

    Returns:
        The changed row, or None if the job is not as it was seen.
    """
    spans, bounds = _spans(change)
    statement = _statement(connection.dialect.name, transition, change, (spans, bounds))
    parameters = _parameters(transition, change, spans, bounds)
    if connection.dialect.name == "postgresql":
        parameters |= {"at_job": change.job_id, "to_outcome": transition.name}
        parameters |= {"to_shard": counters.any_shard()}
        parameters |= event_detail(transition.name, change.cause)
        parameters |= _error_of(change) | notices.told(transition, change.cause.detail)
        return _executed(connection, statement, parameters, transition)
    row = _executed(connection, statement, parameters, transition)
    if row is not None:
        _note(connection, transition, change, row)
    return row


def statements_of(dialect: str, transition: Transition, change: Change) -> Iterator[Statement]:
    """Return what `compare_and_set` executes where the event of an attempt's end is packed.

    Args:
        dialect: The database's.
        transition: One that ends an attempt.
        change: One of the same shape.
    """
    yield _statement(dialect, transition, change, _spans(change))
    if dialect != "postgresql":
        yield _end_of(change)
        if transition.target.is_terminal:
            yield counters.count_end(dialect)
        if notices.kind_of(transition) is not None:
            yield notices.INSERT


def joint(transition: Transition, change: Change) -> JointWrite[AnyRow | None] | None:
    """Return a transition of an attempt as a part of a statement that makes several.

    None where it keeps an error, a bounded moment or a notice, which few do.
    """
    spans, bounds = _spans(change)
    if change.error is not None or bounds or notices.kind_of(transition) is not None:
        return None
    shape = (frozenset(change.guard), frozenset(change.values), frozenset(spans))
    given = {
        name: _plain(value)
        for name, value in _parameters(transition, change, spans, bounds).items()
    }
    given |= event_detail(transition.name, change.cause)
    return JointWrite(
        (transition.name, *shape),
        change.job_id,
        given,
        lambda raw, rows: _together(raw, postgresql.change_many(transition, *shape), rows),
    )


def compare_and_set_many(
    raw: RawConnection, transition: Transition, changes: Sequence[Change]
) -> Mapping[str, AnyRow]:
    """Try a transition of an attempt for each of several jobs; return what changed, by its id.

    Each has a fence of its own: a job that is not as it was seen is left out, and changes nothing
    of the others. On PostgreSQL so is one that another transaction has locked.

    Args:
        raw: In a transaction, on SQLite; on PostgreSQL this is one statement.
        transition: The transition, which keeps no error, bounded moment or notice.
        changes: What it is tried with: of each job one, and the same columns of all of them.
    """
    if raw.dialect.name == "postgresql":
        writes = [write for change in changes if (write := joint(transition, change)) is not None]
        made = writes[0].together(raw, [each.values for each in writes]) if writes else {}
        return {job_id: row for job_id, row in made.items() if row is not None}
    found = {change.job_id: compare_and_set(raw, transition, change) for change in changes}
    return {job_id: row for job_id, row in found.items() if row is not None}


def _together(
    raw: RawConnection, statement: Statement, given: Sequence[Mapping[str, Any]]
) -> Mapping[str, AnyRow]:
    # Sorted: what several transactions change one after the other, as counters, is locked alike.
    ordered = sorted(given, key=lambda each: each["at_id"])
    values = {"rows": json.dumps(ordered), "most": len(ordered), "to_shard": counters.any_shard()}
    return {row.id: row for row in execute(raw, statement, values).rows}


def _statement(
    dialect: str, transition: Transition, change: Change, spans_and_bounds: _Spans
) -> Statement:
    spans, bounds = spans_and_bounds
    statement = statements.compare_and_set(
        transition,
        frozenset(change.guard),
        frozenset(change.values),
        frozenset(spans),
        bounded=frozenset(bounds),
    )
    if dialect != "postgresql":
        return statement
    return postgresql.change(statement, transition, with_error=change.error is not None)


def _end_of(change: Change) -> Statement:
    return statements.END_ATTEMPT if change.error is None else statements.END_WITH_ERROR


def _spans(change: Change) -> _Spans:
    spans = {name: value for name, value in change.values.items() if isinstance(value, After)}
    return spans, {name: value.at_most for name, value in spans.items() if value.at_most}


def _parameters(
    transition: Transition,
    change: Change,
    spans: Mapping[str, After],
    bounds: Mapping[str, datetime],
) -> dict[str, Any]:
    parameters = {f"at_{name}": value for name, value in change.guard.items()}
    parameters |= {f"to_{name}": value for name, value in change.values.items()}
    parameters |= {f"to_{name}": microseconds(value.span) for name, value in spans.items()}
    parameters |= {f"by_{name}": stored(moment) for name, moment in bounds.items()}
    parameters["at_id"] = change.job_id
    parameters["packed"] = packed_events.rest(
        transition.target, transition.name, change.cause.actor, change.cause.detail
    )
    return parameters


def _executed(
    connection: AnyConnection,
    statement: Statement,
    parameters: Mapping[str, Any],
    transition: Transition,
) -> AnyRow | None:
    plain = {name: _plain(value) for name, value in parameters.items()}
    if statements.is_brief(transition):
        return execute(connection, statement, plain).one_or_none()
    # The whole row, with its times.
    rows = read(connection, statement, plain)
    return rows[0] if rows else None


def _plain(value: object) -> object:
    return stored(value) if isinstance(value, datetime) else value


def _note(connection: AnyConnection, transition: Transition, change: Change, row: AnyRow) -> None:
    """Note the attempt that a transition begins or ends, append its event, count a job's end.

    An event that is packed is in the row by now.
    """
    if transition is CLAIM:
        begun = {name: getattr(row, name) for name in ("epoch", "claim_id", "engine")}
        begun |= {"job_id": row.id, "worker": change.cause.actor}
        execute(connection, statements.INSERT_ATTEMPT, begun)
    elif transition.ends_attempt:
        ended = {"at_job": row.id, "at_epoch": change.guard["epoch"], "to_outcome": transition.name}
        execute(connection, _end_of(change), ended | _error_of(change))
    if transition.target.is_terminal:
        ended = {"name": row.name, "queue": row.queue, "engine": row.engine or ""}
        ended |= {"outcome": row.state, "shard": counters.any_shard()}
        execute(connection, counters.count_end(connection.dialect.name), ended)
    told = notices.told(transition, change.cause.detail)
    if told:
        execute(connection, notices.INSERT, told | notices.of_row(row, told["notice_kind"]))
    if not row.is_packed:
        append_event(connection, event_of(row), transition.name, change.cause)


def _error_of(change: Change) -> dict[str, Any]:
    return {} if change.error is None else {"to_error": change.error}


def event_of(row: AnyRow) -> dict[str, Any]:
    """Return what an event says of the job it happened to."""
    return {"job_id": row.id, "n": row.events, "state": row.state, "epoch": row.epoch}


def append_event(
    connection: AnyConnection, event: Mapping[str, Any], kind: str, cause: Cause
) -> None:
    """Write the history on, in the transaction of what happened (rule 22)."""
    execute(connection, statements.INSERT_EVENT, {**event, **event_detail(kind, cause)})


def event_detail(kind: str, cause: Cause) -> dict[str, Any]:
    """Return what an event says of what happened."""
    return {"kind": kind, "actor": cause.actor, "detail": json.dumps(dict(cause.detail))}


def request_cancel(connection: Connection, job_id: str, cause: Cause) -> bool:
    """Request that the running attempt stops; False if none runs, or if it was requested."""
    row = connection.execute(statements.REQUEST_CANCEL, {"at_id": job_id}).one_or_none()
    if row is not None:
        append_event(connection, event_of(row), "cancel_request", cause)
    return row is not None
