"""Notices, recorded in the transactions of their causes."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Text,
    bindparam,
    cast,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql

from failsoft.job_engine.records.states import CRASH_OUT, EXHAUST, JobState, Transition
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.tables import notices

_CRASH_LOOPS = (CRASH_OUT, EXHAUST)
_OF_STATE = {JobState.HELD: "job.hold", JobState.FAILED: "job.fail"}
_GIVEN = ("id", "kind", "engine", "queue", "job_id", "detail")
_COLON: ColumnElement[str] = literal_column("':'")

INSERT = insert(notices).values(
    {name: bindparam(f"notice_{name}") for name in _GIVEN} | {"at": now_us()}
)


def note(connection: Connection, notice_id: str, kind: str, **given: Any) -> bool:
    """Record a notice in the transaction of its cause, once; return whether it is new.

    Args:
        connection: The transaction.
        notice_id: Made of the cause.
        kind: Its kind.
        given: Its `engine`, its `queue` and its `detail` as JSON values, each where it has one.
    """
    detail = json.dumps(dict(given.pop("detail", {})))
    values = {"id": notice_id, "kind": kind, "at": now_us(), "detail": detail, **given}
    new = insert_into(connection.dialect.name, notices).values(values).on_conflict_do_nothing()
    return connection.execute(new.returning(notices.c.id)).first() is not None


def kind_of(transition: Transition) -> str | None:
    """Return the kind of the notice of a transition; None where it has none."""
    return "job.crash_loop" if transition in _CRASH_LOOPS else _OF_STATE.get(transition.target)


def told(transition: Transition, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the notice of a transition says, as parameters; nothing where it has none."""
    kind = kind_of(transition)
    if kind is None:
        return {}
    reason = {"reason": detail["reason"]} if detail.get("reason") else {}
    return {"notice_kind": kind, "notice_detail": json.dumps(reason)}


def of_row(row: AnyRow, kind: str) -> dict[str, Any]:
    """Return the rest of the parameters: whose it is; the event makes its id the only one."""
    return {
        "notice_id": f"{kind}:{row.id}:{row.events}",
        "notice_engine": row.engine,
        "notice_queue": row.queue,
        "notice_job_id": row.id,
    }


def of_job(job: CTE) -> CTE:
    """Insert the notice of a job that a part of the statement has changed, on PostgreSQL."""
    kind, detail = bindparam("notice_kind", type_=Text), bindparam("notice_detail", type_=Text)
    own = kind.concat(_COLON).concat(job.c.id).concat(_COLON).concat(cast(job.c.events, Text))
    found = select(own, kind, job.c.engine, job.c.queue, job.c.id, detail, now_us())
    return postgresql.insert(notices).from_select([*_GIVEN, "at"], found).cte("notice")
