"""Doing the work of ended jobs again, as new jobs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal, select
from sqlalchemy.sql.elements import ColumnElement

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.records.job import JobRecord, StepRecord
from failsoft.job_engine.records.manual_retry import DeadLetters, ManualRetry
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.canonical import digest
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.roles.lists import go_by_index
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import by_itself, in_state, jobs
from failsoft.ledger.schema.tables import receipts, steps
from failsoft.ledger.transitions.compare_and_set import Cause, append_event, event_of
from failsoft.ledger.transitions.insert import holder_of, insert_retry

#: What a new job has of the old one, whatever is changed.
_KEPT = ("name", "queue", "priority", "engines", "tags", "depth")
_BY_ID = select(*jobs.c).where(jobs.c.id == bindparam("job"))
#: The row may not be pruned before its steps are copied.
_LOCKED = _BY_ID.with_for_update(read=True, key_share=True)
_STEPS = select(*steps.c).where(steps.c.job_id == bindparam("job")).order_by(steps.c.seq)


class SqlManualRetries(SqlRole):
    """The part of `ControlLedger` that does ended work again, on SQL."""

    def retry(self, retry: ManualRetry) -> tuple[JobRecord, bool]:
        """Record a new job that does an ended job's work again, in one transaction."""
        return self._database.write(lambda c: do_again(c, retry))

    def dead_letters(self, wanted: DeadLetters) -> Sequence[str]:
        """Return the ids of failed jobs without a retry, the oldest first."""
        again, is_sqlite = jobs.alias("again"), self._database.is_sqlite
        conditions: list[ColumnElement[bool]] = [
            in_state(JobState.FAILED),
            ~select(literal(1)).where(again.c.retry_of == jobs.c.id).exists(),
        ]
        # PostgreSQL compares them in an index of those that have failed; SQLite would take one
        # of all jobs.
        name, queue = (by_itself(c) if is_sqlite else c for c in (jobs.c.name, jobs.c.queue))
        if wanted.name is not None:
            conditions.append(name == wanted.name)
        if wanted.queue is not None:
            conditions.append(queue == wanted.queue)
        if wanted.since is not None:
            conditions.append(jobs.c.finished_at >= now_us() - microseconds(wanted.since))
        oldest_first = select(jobs.c.id).where(*conditions).order_by(jobs.c.finished_at, jobs.c.id)
        statement = oldest_first.limit(wanted.limit)

        def work(connection: Connection) -> Sequence[str]:
            go_by_index(connection)
            return connection.execute(statement).scalars().all()

        return self._database.snapshot(work)

    def again(self, job_id: str) -> Sequence[JobRecord]:
        """Return the jobs that do a job's work again, the oldest first."""
        statement = (
            select(*jobs.c).where(jobs.c.retry_of == job_id).order_by(jobs.c.created_at, jobs.c.id)
        )
        found = self._database.read(lambda c: c.execute(statement).all())
        return [rows.job_record(row) for row in found]


def do_again(connection: Connection, retry: ManualRetry) -> tuple[JobRecord, bool]:
    """Record a new job that does an ended job's work again, in a transaction; see `retry`."""
    known = connection.execute(_BY_ID, {"job": retry.id}).one_or_none()
    if known is not None:
        expect_replicated(connection)
        return rows.job_record(known), False
    row = connection.execute(_LOCKED, {"job": retry.retry_of}).one_or_none()
    if row is None:
        raise JobNotFoundError(f"expected the id of a job in the ledger, got {retry.retry_of!r}")
    retried = rows.job_record(row)
    retry.check(retried)
    recorded = [rows.step_record(s) for s in connection.execute(_STEPS, {"job": retried.id})]
    place = retry.place(recorded)
    taken = [step for step in recorded if retry.takes_over(step, place)]
    values = {column: getattr(row, column) for column in _KEPT} | _values(retry, retried)
    made, is_new = _inserted(connection, retry, retried, values)
    if is_new:
        _copy_steps(connection, retry.id, taken, retried.id)
        _note_receipts(connection, retry.id, retry.receipts(taken))
        cause = Cause(retry.actor, retry.detail([step.name for step in taken]))
        append_event(connection, event_of(made), "dispatch", cause)
    return rows.job_record(made), is_new


def _inserted(
    connection: Connection, retry: ManualRetry, retried: JobRecord, values: dict[str, Any]
) -> tuple[AnyRow, bool]:
    """Insert the new job, or find the one of a concurrent retry.

    As in `insert.record`, an index decides, and a conflict may be gone when it is looked for.
    """
    unique = retry.unique_key(retried)
    while True:
        made = insert_retry(connection, values)
        if made is not None:
            return made, True
        known = connection.execute(_BY_ID, {"job": retry.id}).one_or_none()
        if known is not None:
            expect_replicated(connection)
            return known, False
        holder = None if unique is None else holder_of(connection, retried.name, unique)
        if holder is not None:
            raise retry.refused_for(rows.job_record(holder))


def _values(retry: ManualRetry, retried: JobRecord) -> dict[str, Any]:
    payload = retried.payload if retry.payload is None else retry.payload
    limits = retried.limits if retry.limits is None else retry.limits
    unique = retry.unique_key(retried)
    return rows.limit_columns(limits) | {
        "id": retry.id,
        "retry_of": retried.id,
        "idempotency_root": retry.idempotency_root(retried),
        "follow_ups": retry.follow_ups(retried),
        "trace_context": retry.trace_context(retried),
        "payload": payload,
        "version": retry.version or retried.version,
        "payload_sha": digest(payload),
        "unique_key": unique and unique.key,
        "unique_scope": unique and unique.scope,
        "state": JobState.SCHEDULED,
        "epoch": 0,
        "events": 1,
        "created_at": now_us(),
        "run_at": now_us(),
    }


def _copy_steps(connection: Connection, job_id: str, taken: Sequence[StepRecord], of: str) -> None:
    if not taken:
        return
    # No attempt of the new job has epoch 0: what is copied is no attempt's record here.
    changed = {"job_id": literal(job_id), "epoch": literal(0)}
    columns: list[Any] = [changed.get(column.name, column) for column in steps.c]
    copied = select(*columns).where(
        steps.c.job_id == of, steps.c.seq <= max(step.seq for step in taken)
    )
    connection.execute(insert(steps).from_select([column.name for column in steps.c], copied))


def _note_receipts(connection: Connection, job_id: str, events: Sequence[str]) -> None:
    if events:
        noted = [{"job_id": job_id, "event_id": event} for event in events]
        connection.execute(insert(receipts), noted)
