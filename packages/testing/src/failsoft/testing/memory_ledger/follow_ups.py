"""Carrying out what the end of a job sets off, in a ledger in memory."""

from dataclasses import replace
from typing import Any

from failsoft.job_engine.ports.clock import spans_of_dispatch
from failsoft.job_engine.records.follow_ups import (
    NextJob,
    failure_job,
    follow_ups_from,
    with_waiting,
)
from failsoft.job_engine.records.groups import GroupRecord, is_member, with_field
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import CANCEL, JobState
from failsoft.testing.memory_ledger.rows import Row, new_row
from failsoft.testing.memory_ledger.store import Change, Store

#: Who the events name.
ACTOR = "follow-up"


def trigger(store: Store, ended: Row) -> None:
    """Carry out the follow-ups of a job that has just ended; the caller is in a transaction."""
    if ended.state is JobState.CANCELLED:
        _cancel_invoked(store, ended)
    if ended.follow_ups is None:
        return
    follow_ups = follow_ups_from(ended.follow_ups)
    if follow_ups.on_failure is not None and ended.state is JobState.FAILED:
        insert(store, failure_job(follow_ups.on_failure, ended.record()), None, ACTOR)
    if follow_ups.then is not None:
        _go_on(store, ended, follow_ups.then)
    for job_id in follow_ups.waiting:
        _go_on(store, ended, NextJob(job_id))
    if follow_ups.group is not None and is_member(ended.id, follow_ups.group):
        group = store.groups[follow_ups.group]
        counted = replace(group, **{ended.state.value: getattr(group, ended.state) + 1})
        store.groups[group.id] = counted
        if counted.is_over:
            complete(store, counted)


def wait_for(store: Store, before: Row, job_id: str) -> None:
    """Let a job that was recorded with `waits_for` wait for another one's end, or end at once."""
    if before.state.is_terminal:
        _go_on(store, before, NextJob(job_id))
        return
    waited_for = with_waiting(before.follow_ups, job_id)
    store.rows[before.id] = replace(before, follow_ups=waited_for)


def complete(store: Store, group: GroupRecord) -> None:
    """Start the completion job of a group that is over, or cancel it."""
    if group.completion_id is None:
        return
    if group.may_complete:
        waiting = NextJob(group.completion_id, group.completion_field)
        _start(store, waiting, group.id, group.result.model_dump_json())
    else:
        _cancel(store, group.completion_id, group.id, group.shortfall)


def insert(store: Store, job: NewJob, plan: OfferPlan | None, actor: str) -> Row | None:
    """Record a job; None if its id or its key is taken."""
    key = (job.name, job.idempotency_key)
    keys = {(row.name, row.idempotency_key) for row in store.rows.values() if row.idempotency_key}
    if job.id in store.rows or key in keys:
        return None
    row = new_row(job, plan, store.clock.now())
    store.rows[job.id] = row
    detail: dict[str, Any] = {"engine": plan.engine, "reason": plan.reason} if plan else {}
    detail |= spans_of_dispatch(job, offered=plan is not None)
    store.append_event(row, "dispatch", actor, detail)
    return row


def _cancel_invoked(store: Store, ended: Row) -> None:
    reason = f"job {ended.id}, which invoked it, was cancelled"
    for row in [row for row in store.rows.values() if row.parent_id == ended.id]:
        change = Change(row.id, {}, {}, "parent", {"reason": reason})
        if store.apply(CANCEL, change) is None:
            store.request_cancel(row.id, "parent", {"reason": reason})


def _go_on(store: Store, ended: Row, then: NextJob) -> None:
    if ended.state is JobState.SUCCEEDED:
        _start(store, then, ended.id, ended.result)
        return
    end = "failed" if ended.state is JobState.FAILED else "was cancelled"
    _cancel(store, then.job_id, ended.id, f"job {ended.id}, which it waited for, {end}")


def _start(store: Store, waiting: NextJob, waited_for: str, value: str | None) -> None:
    row = store.rows.get(waiting.job_id)
    if row is None or (row.state, row.waits_for) != (JobState.SCHEDULED, waited_for):
        return
    payload = row.payload
    if waiting.field is not None:
        payload = with_field(payload, waiting.field, value)
    now = store.clock.now()
    store.rows[row.id] = replace(row, run_at=now, waits_for=None, payload=payload)


def _cancel(store: Store, job_id: str, waited_for: str, reason: str) -> None:
    row = store.rows.get(job_id)
    if row is not None and row.waits_for == waited_for:
        store.apply(CANCEL, Change(job_id, {}, {}, ACTOR, {"reason": reason}))
