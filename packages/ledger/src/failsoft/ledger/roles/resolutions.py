"""What people do to the jobs of a ledger."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import RESUME
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.tables import steps
from failsoft.ledger.transitions import apply, statements
from failsoft.ledger.transitions.apply import After, Cause, Change

_OF_JOB = (steps.c.job_id == bindparam("at_job"), steps.c.kind == StepKind.INTENT)
_IN_DOUBT = select(steps.c.name).where(*_OF_JOB)
_FORGET = delete(steps).where(*_OF_JOB)


class SqlControl(SqlRole):
    """`ControlLedger` on SQL."""

    def resolve(self, seen: JobRecord, resolution: Resolution) -> JobRecord | None:
        """Let a held job go on, or end it; None if it is no longer as it was seen (rule 4)."""
        return self._database.write(lambda c: resolve(c, seen, resolution))


def resolve(connection: Connection, seen: JobRecord, resolution: Resolution) -> JobRecord | None:
    """Let a held job go on, or end it, in a transaction; None if it is no longer as it was seen."""
    goes_on = resolution.transition is RESUME
    # No attempt records steps of a held job, and one that was resolved has another `revision`.
    in_doubt = set(connection.execute(_IN_DOUBT, {"at_job": seen.id}).scalars())
    again = sorted(in_doubt - resolution.done.keys()) if goes_on else []
    values: dict[str, Any] = {"run_at": After(timedelta(0))} if goes_on else {}
    if resolution.result is not None:
        values["result"] = resolution.result
    guard = {"state": seen.state, "epoch": seen.epoch, "revision": seen.revision}
    change = Change(seen.id, guard, values, Cause(resolution.actor, resolution.detail(again)))
    row = apply.apply(connection, resolution.transition, change)
    if row is not None and goes_on:
        _settle(connection, seen.id, resolution)
    return None if row is None else rows.job_record(row)


def _settle(connection: Connection, job_id: str, resolution: Resolution) -> None:
    for name, result in resolution.done.items():
        # No attempt has epoch 0: what a person decides is no attempt's record.
        settled = {"at_job": job_id, "at_name": name, "to_result": result, "to_epoch": 0}
        settled["to_elapsed_us"] = None
        connection.execute(statements.SETTLE_STEP, settled)
    connection.execute(_FORGET, {"at_job": job_id})
