"""`WaitLedger` on SQL: waiting, and what is waited for, are each one transaction."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    select,
)

from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import SentEvent, Wait, key_taken, waker
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import receipts, sent_events, steps
from failsoft.ledger.transitions import fenced_writes, statements, times
from failsoft.ledger.transitions.compare_and_set import Cause
from failsoft.ledger.transitions.consequences import invoked_jobs, wake

#: How many events without a receiver are deleted at a time.
FORGET = 100
#: How long after their time: a clock that is ahead for a moment must not lose them.
FORGET_AFTER = timedelta(days=1)

_STEP = select(
    *steps.c,
    (steps.c.recorded_at + bindparam("span", type_=BigInteger) <= now_us()).label("is_late"),
    (steps.c.recorded_at > now_us() + microseconds(SLACK)).label("is_ahead"),
).where(steps.c.job_id == bindparam("job"), steps.c.name == bindparam("step"))

_OLDEST = (
    select(sent_events.c.id, sent_events.c.payload)
    .where(
        sent_events.c.topic == bindparam("topic"),
        sent_events.c.expires_at > now_us(),
        ~exists().where(
            and_(receipts.c.job_id == bindparam("job"), receipts.c.event_id == sent_events.c.id)
        ),
    )
    .order_by(sent_events.c.sent_at, sent_events.c.id)
    .limit(1)
)

_END = select(jobs.c.state, jobs.c.result, jobs.c.error).where(jobs.c.id == bindparam("job"))


class SqlWaits(SqlRole):
    """`WaitLedger` on SQL; every method may be repeated after a lost reply (F22)."""

    def receive(self, claim: Claim, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Record what a step waits for, if it is there or the wait has lasted too long."""

        def work(connection: Connection) -> StepRecord | None:
            fenced_writes.fence(connection, claim)
            return _receive(connection, claim, step, wait)

        return self._database.write(work)

    def send(self, event: SentEvent) -> int:
        """Keep an event and wake the jobs that wait for it; return how many those are."""
        return self._database.write(lambda connection: _send(connection, event, self._actor))


def begin_to_wait(connection: Connection, claim: Claim, conclusion: Conclusion) -> None:
    """Do what goes with a job's suspension; the topic is locked, the job suspended.

    What it waits for may have come since it looked: then it is woken at once.
    """
    wait, step = conclusion.wait, conclusion.step
    assert wait is not None  # noqa: S101 - the caller looked
    assert step is not None  # noqa: S101 - a wait is a step
    if conclusion.child is not None:
        holder = invoked_jobs.adopt(connection, claim, conclusion.child)
        if holder is not None:
            _refuse(connection, claim, conclusion, holder)
            return
    if wait.timeout is not None:
        times.wait_at_most(connection, claim.job_id, step.name, wait.timeout)
    answer = _answer(connection, claim, wait)
    if answer is not None:
        wake.wake(connection, wait.topic, Cause(claim.worker, waker(answer)))


def _refuse(connection: Connection, claim: Claim, conclusion: Conclusion, holder: str) -> None:
    """Let the step have met that its job was not recorded, the same in every attempt."""
    wait, step, child = conclusion.wait, conclusion.step, conclusion.child
    assert wait and step and child  # noqa: S101, PT018 - the caller looked
    answer = key_taken(child.id, holder)
    met = replace(step, kind=StepKind.ANSWERED, result=json.dumps(answer))
    _meet(connection, claim, met, waited=True)
    wake.wake(connection, wait.topic, Cause(claim.worker, waker(answer)))


def _receive(
    connection: Connection, claim: Claim, step: StepRecord, wait: Wait
) -> StepRecord | None:
    span = None if wait.timeout is None else microseconds(wait.timeout)
    mine = {"job": claim.job_id, "step": step.name, "span": span}
    known = connection.execute(_STEP, mine).one_or_none()
    if known is not None and known.kind == StepKind.ANSWERED:
        # Met by this very call, whose reply was lost (F22).
        return rows.step_record(known)
    found = _answer(connection, claim, wait)
    if found is None and known is not None and known.is_late:
        found = {"timeout": True}
    if found is None:
        if known is not None and known.is_ahead:
            # Nobody repaired the job: it did not wait when the clock came back.
            times.pull_in_waits(connection, claim.job_id)
        return None
    if "id" in found:
        connection.execute(insert(receipts).values(job_id=claim.job_id, event_id=found["id"]))
    met = StepRecord(step.name, step.seq, StepKind.ANSWERED, json.dumps(found), claim.epoch)
    _meet(connection, claim, met, waited=known is not None)
    return met


def _meet(connection: Connection, claim: Claim, met: StepRecord, *, waited: bool) -> None:
    if not waited:
        fenced_writes.insert_step(connection, claim, met)
    else:
        given = {"at_job": claim.job_id, "at_name": met.name}
        values = {"to_result": met.result, "to_epoch": claim.epoch}
        connection.execute(statements.ANSWER_STEP, given | values)


def _answer(connection: Connection, claim: Claim, wait: Wait) -> dict[str, Any] | None:
    if wait.child_id is not None:
        return _end_of(connection, wait.child_id)
    mine = {"topic": wait.topic, "job": claim.job_id}
    event = connection.execute(_OLDEST, mine).one_or_none()
    return None if event is None else {"id": event.id, "payload": json.loads(event.payload)}


def _end_of(connection: Connection, job_id: str) -> dict[str, Any] | None:
    child = connection.execute(_END, {"job": job_id}).one_or_none()
    if child is None:
        gone = {"type": "JobNotFoundError", "message": "it is gone", "traceback": ""}
        return {"job": job_id, "state": str(JobState.FAILED), "result": None, "error": gone}
    if not JobState(child.state).is_terminal:
        return None
    error = None if child.error is None else json.loads(child.error)
    return {"job": job_id, "state": child.state, "result": child.result, "error": error}


def _send(connection: Connection, event: SentEvent, actor: str) -> int:
    wake.lock(connection, event.topic)
    values: dict[str, Any] = {
        "id": event.id,
        "topic": event.topic,
        "name": event.name,
        "payload": event.payload,
        "sent_at": now_us(),
        "expires_at": now_us() + microseconds(event.keep),
    }
    keeps = statements.keep_event(connection.dialect.name).values(values)
    if connection.execute(keeps.returning(sent_events.c.id)).one_or_none() is None:
        # Sent by this very call, whose reply was lost (F22).
        expect_replicated(connection)
    expired = (
        select(sent_events.c.id)
        .where(sent_events.c.expires_at <= now_us() - microseconds(FORGET_AFTER))
        .limit(FORGET)
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(sent_events).where(sent_events.c.id.in_(expired)))
    return wake.wake(connection, event.topic, Cause(actor, waker({"id": event.id})))
