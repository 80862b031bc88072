"""The ledger as an attempt needs it: claim, begin, record, conclude, renew."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select

from failsoft.job_engine.attempt.interrupts import CancelRequested, Fenced
from failsoft.job_engine.errors import JobDeferredError
from failsoft.job_engine.ports.clock import DELAY, spans_of_end
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Claim, Conclusion, Progress, StepRecord, Ticket
from failsoft.job_engine.records.states import (
    CLAIM,
    EXHAUST,
    FAIL,
    RECOVER,
    RETRY,
    STOP,
    SUCCEED,
    TRANSITIONS,
    JobState,
)
from failsoft.ledger.database.answers import ANSWERS
from failsoft.ledger.database.compiled import execute, prepare
from failsoft.ledger.database.errors import WorkError
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds
from failsoft.ledger.roles import tx_steps, waits
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import by_itself, jobs
from failsoft.ledger.schema.tables import attempts, steps
from failsoft.ledger.transitions import apply, fenced_writes, limits, measures
from failsoft.ledger.transitions import uncharge as uncharge_crash
from failsoft.ledger.transitions.apply import After, Cause, Change
from failsoft.ledger.transitions.compare_and_set import (
    compare_and_set,
    compare_and_set_many,
    joint,
)
from failsoft.ledger.transitions.consequences import wake

#: How most attempts end, and whose: what is compiled ahead of them has the shape of these.
_ERROR = ErrorRecord("", "", "")
_USUAL = (
    Conclusion(SUCCEED, result=""),
    Conclusion(RETRY, error=_ERROR),
    Conclusion(FAIL, error=_ERROR),
)
_NOBODYS = Claim("", 0, "", "", "", "", "", "", 1, 0, 0, 0, timedelta())

_TARGETS = {transition.name: transition.target for transition in TRANSITIONS}
_UNLIMITED, _LIMITED = {"is_limited": False}, {"is_limited": True}
_TAKEN_AWAY = frozenset({RECOVER.name, EXHAUST.name})

#: How many claims are one transaction at most: other writers wait for it.
MOST_CLAIMS = 32

_BEGIN = (
    select(
        jobs.c.state,
        jobs.c.epoch.label("job_epoch"),
        jobs.c.claim_id,
        jobs.c.cancel_requested,
        *steps.c,
    )
    .select_from(
        jobs.outerjoin(
            steps,
            and_(
                steps.c.job_id == jobs.c.id,
                or_(steps.c.name == bindparam("step"), steps.c.seq == bindparam("place")),
            ),
        )
    )
    .where(jobs.c.id == bindparam("job"))
)

_MY_CLAIM = select(*jobs.c).where(
    jobs.c.id == bindparam("job"),
    jobs.c.epoch == bindparam("epoch"),
    jobs.c.claim_id == bindparam("claim"),
    by_itself(jobs.c.state) == JobState.RUNNING,
)

_MY_END = select(attempts.c.outcome).where(
    attempts.c.job_id == bindparam("job"),
    attempts.c.epoch == bindparam("epoch"),
    attempts.c.claim_id == bindparam("claim"),
)


class SqlAttempts(SqlRole):
    """`AttemptLedger` on SQL; every method may be repeated after a lost reply (F22)."""

    def prepare_attempts(self) -> None:
        """Compile what most attempts execute; nothing is connected to.

        For the process that forks one for each attempt: none of those compiles it again.
        """
        dialect = self._database.engine.dialect
        prepare((_BEGIN, *fenced_writes.statements_of_steps(dialect.name)), dialect)
        prepare(measures.statements_of_batches(dialect.name), dialect)
        for conclusion in _USUAL:
            change = _concluding(_NOBODYS, conclusion)
            alone = apply.statements_alone(dialect.name, conclusion.transition, change)
            prepare(alone, dialect)

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job; None if the offer is void (rule 6)."""
        change, unlimited = _claiming(ticket), _claiming_unlimited(ticket)
        row = self._database.write_one(
            lambda c: compare_and_set(c, CLAIM, unlimited),
            "claim",
            joint=partial(joint, CLAIM, unlimited),
        )
        if row is not None:
            return rows.claim(row, ticket.worker)
        found = self._database.write(lambda c: _claim_under_limits(c, ticket, change), "claim")
        if isinstance(found, JobDeferredError):
            raise found
        return found

    def claim_many(self, tickets: Sequence[Ticket]) -> Sequence[Claim]:
        """Take several offered jobs, so many in a transaction; see the port for what is left out.

        A commit, and on PostgreSQL an answer, for all of them (decision 0098).
        """
        # No two of one job: a second one is void, or the same that was delivered again.
        one_each = {ticket.job_id: ticket for ticket in tickets}
        every = [_claiming_unlimited(ticket) for ticket in one_each.values()]
        made: list[Claim] = []
        for start in range(0, len(every), MOST_CLAIMS):
            changes = every[start : start + MOST_CLAIMS]
            found = self._database.write_one(
                partial(compare_and_set_many, transition=CLAIM, changes=changes), "claim"
            )
            made += [rows.claim(row, one_each[job_id].worker) for job_id, row in found.items()]
        return made

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority and look for the step, in one statement (rule 8)."""
        parameters = {"job": claim.job_id, "step": name, "place": seq}
        found = self._database.ask(lambda c: execute(c, _BEGIN, parameters).rows, "begin")
        if not found or not _has_authority(found[0], claim):
            raise Fenced
        if found[0].cancel_requested:
            raise CancelRequested
        return [rows.step_as_stored(row) for row in found if row.name is not None]

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step after the fence, in its transaction (rules 7 and 9)."""
        work = partial(fenced_writes.record_step, claim=claim, step=step)
        joined = partial(fenced_writes.joint_step, claim, step)
        if not self._database.write_one(work, "step", joint=joined):
            raise Fenced

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Do a step's work in the transaction that records it: both or neither (rule 11)."""
        try:
            return self._database.write(
                lambda c: tx_steps.record_in(c, claim, step, work),
                "step",
                self._database.at_length.with_statements_of(tx_steps.longest(claim)),
            )
        except WorkError as raised:
            raise raised.error from raised.error.__cause__

    def silence(self, thread: int) -> float:
        """Return for how many seconds a thread has waited for a silent server; 0.0 on SQLite."""
        return ANSWERS.silence(thread)

    def note_progress(self, claim: Claim, progress: Progress) -> None:
        """Keep how far a job has come, in the statement that is the fence (rule 7)."""
        text = rows.progress_text(progress)
        self._database.write(lambda c: fenced_writes.note_progress(c, claim, text))

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt; a pending cancel request wins over all but success (I9)."""
        if conclusion.step is None and conclusion.wait is None:
            change = _concluding(claim, conclusion)
            row = self._database.write_one(
                lambda c: apply.apply_alone(c, conclusion.transition, change),
                "conclude",
                joint=partial(apply.joint_alone, conclusion.transition, change),
            )
            if row is not None:
                return JobState(row.state)

        def work(connection: Connection) -> JobState:
            if conclusion.wait is not None:
                wake.lock(connection, conclusion.wait.topic)
            return _conclude(connection, claim, conclusion)

        return self._database.write(work, "conclude")

    def uncharge(self, claim: Claim) -> bool:
        """Take back the crash that a rescuer charged for a lease that was lost to an outage."""
        return self._database.write(lambda c: uncharge_crash.uncharge(c, claim))

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew leases in one transaction; return those that still have the authority (rule 12)."""
        # In one order everywhere, so that no two transactions wait for each other.
        ordered = sorted(claims, key=lambda claim: claim.job_id)
        return self._database.write(
            lambda connection: [c for c in ordered if fenced_writes.has_authority(connection, c)],
            "renew",
        )


def _claiming(ticket: Ticket) -> Change:
    return Change(
        ticket.job_id,
        {"epoch": ticket.epoch, "engine": ticket.engine, "queue": ticket.queue},
        {
            "claim_id": ticket.claim_id,
            "lease_us": microseconds(ticket.lease),
            "lease_until": After(ticket.lease),
        },
        Cause(ticket.worker, {"claim": ticket.claim_id, "engine": ticket.engine}),
    )


def _claiming_unlimited(ticket: Ticket) -> Change:
    change = _claiming(ticket)
    return replace(change, guard={**change.guard, **_UNLIMITED})


def _claim_under_limits(
    connection: Connection, ticket: Ticket, change: Change
) -> Claim | JobDeferredError | None:
    limited = replace(change, guard={**change.guard, **_LIMITED})
    found = limits.claim(connection, ticket, limited)
    if isinstance(found, JobDeferredError):
        return found
    if found is None:
        return _claimed_before(connection, ticket)
    claim, rate = rows.claim(found, ticket.worker), rows.limits(found).rate
    if rate is not None:
        limits.note_start(connection, claim, rate)
    return claim


def _claimed_before(connection: Connection, ticket: Ticket) -> Claim | None:
    # The commit of this very claim may have gone through and its reply been lost (R13).
    mine = {"job": ticket.job_id, "epoch": ticket.epoch, "claim": ticket.claim_id}
    row = connection.execute(_MY_CLAIM, mine).one_or_none()
    if row is None:
        return None
    expect_replicated(connection)
    return rows.claim(row, ticket.worker)


def _has_authority(row: Any, claim: Claim) -> bool:
    return (row.state, row.job_epoch, row.claim_id) == (
        JobState.RUNNING,
        claim.epoch,
        claim.claim_id,
    )


def _concluding(claim: Claim, conclusion: Conclusion) -> Change:
    guard: dict[str, Any] = {"epoch": claim.epoch, "claim_id": claim.claim_id}
    if conclusion.transition is not SUCCEED:
        guard |= {"cancel_requested": False}
    reason = {"reason": conclusion.reason} if conclusion.reason else {}
    cause = Cause(claim.worker, reason | spans_of_end(conclusion))
    error = rows.error_text(conclusion.error)
    return Change(claim.job_id, guard, _values(conclusion, error), cause, error)


def _conclude(connection: Connection, claim: Claim, conclusion: Conclusion) -> JobState:
    change = _concluding(claim, conclusion)
    row = apply.apply(connection, conclusion.transition, change)
    if row is not None:
        if conclusion.step is not None:
            fenced_writes.insert_step(connection, claim, conclusion.step)
        if conclusion.wait is not None:
            waits.begin_to_wait(connection, claim, conclusion)
        return JobState(row.state)
    requested = {**change.guard, "cancel_requested": True}
    cause = replace(
        change.cause, detail={k: v for k, v in change.cause.detail.items() if k != DELAY}
    )
    stopped = replace(change, guard=requested, values={}, cause=cause)
    row = apply.apply(connection, STOP, stopped)
    return JobState(row.state) if row is not None else _concluded_before(connection, claim)


def _values(conclusion: Conclusion, error: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if conclusion.result is not None:
        values["result"] = conclusion.result
    if error is not None:
        values["error"] = error
    if conclusion.transition.target is JobState.SCHEDULED:
        values["run_at"] = conclusion.run_at or After(conclusion.delay)
    if conclusion.wait is not None:
        values["awaits"] = conclusion.wait.topic
    return values


def _concluded_before(connection: Connection, claim: Claim) -> JobState:
    mine = {"job": claim.job_id, "epoch": claim.epoch, "claim": claim.claim_id}
    outcome = connection.execute(_MY_END, mine).scalar_one_or_none()
    if outcome is None or outcome in _TAKEN_AWAY:
        raise Fenced
    expect_replicated(connection)
    return _TARGETS[outcome]
