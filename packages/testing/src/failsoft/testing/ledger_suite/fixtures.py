# ruff: noqa: S101 - a conformance suite asserts
"""What the suite's tests share: jobs, tickets, claims, and the check of a history."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    Claim,
    Conclusion,
    HistoryEntry,
    JobRecord,
    StepKind,
    StepRecord,
    Ticket,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import (
    CRASH,
    CRASH_OUT,
    FAIL,
    HOLD,
    RELEASE,
    RETRY,
    STOP,
    SUCCEED,
    SUSPEND,
    TERMINAL,
    TRANSITIONS,
    JobState,
)

#: Moves the ledger's clock on by a span.
PassTime = Callable[[timedelta], None]

#: Spans that are not over while a test runs, however slow the machine, unless it lets them pass.
LONG = timedelta(hours=1)
MOMENT = timedelta(minutes=1)

FIRST, SECOND = "first", "second"
QUEUE = "default"
ERROR = ErrorRecord("ValueError", "no such user", "Traceback ...\nValueError: no such user")

#: How a worker may end an attempt, except by stopping for a cancel request.
CONCLUSIONS = (
    Conclusion(SUCCEED, result='{"sent": true}'),
    Conclusion(RETRY, error=ERROR, delay=LONG, reason="ValueError"),
    Conclusion(FAIL, error=ERROR, reason="no attempt left"),
    Conclusion(CRASH, error=ERROR, delay=LONG),
    Conclusion(CRASH_OUT, error=ERROR, reason="crash loop"),
    Conclusion(SUSPEND, delay=LONG, step=StepRecord("nap", 0, StepKind.SLEEP, '"for 1:00:00"')),
    Conclusion(RELEASE, reason="worker stops"),
    Conclusion(HOLD, error=ERROR, reason="code changed"),
)
SUCCESS, FAILURE = CONCLUSIONS[0], CONCLUSIONS[2]
ENDINGS = {
    JobState.SUCCEEDED: SUCCESS,
    JobState.FAILED: FAILURE,
    JobState.CANCELLED: Conclusion(STOP),
}

#: The events that no transition makes, and the state that they happen in.
_STAYS = {
    "cancel_request": frozenset({JobState.RUNNING}),
    "wake": frozenset({JobState.SCHEDULED}),
    "uncharge": frozenset(JobState) - TERMINAL,
}
_BY_NAME = {transition.name: transition for transition in TRANSITIONS}


def new_job(**changes: Any) -> NewJob:
    """Return a job that is not recorded yet."""
    given = NewJob(secrets.token_hex(8), "send_welcome", QUEUE, '{"user_id": 7}', "5ad1")
    return replace(given, **changes)


def plan(engine: str = FIRST, pickup: timedelta = LONG) -> OfferPlan:
    """Return a plan to offer a job."""
    return OfferPlan(engine, pickup, "a test")


def offered(
    ledger: Ledger, engine: str = FIRST, *, pickup: timedelta = LONG, **changes: Any
) -> JobRecord:
    """Record a job that is offered at once."""
    return ledger.record_job(new_job(**changes), plan(engine, pickup))[0]


def waiting(ledger: Ledger, delay: timedelta = LONG, **changes: Any) -> JobRecord:
    """Record a job that waits for its time."""
    return ledger.record_job(new_job(delay=delay, **changes), None)[0]


def ticket(job: JobRecord, **changes: Any) -> Ticket:
    """Return the ticket of a worker that received the newest message of a job."""
    engine, claim_id = job.engine or FIRST, secrets.token_hex(16)
    given = Ticket(job.id, job.epoch, engine, job.queue, claim_id, "worker-1", LONG)
    return replace(given, **changes)


def claimed(ledger: Ledger, job: JobRecord, **changes: Any) -> Claim:
    """Claim an offered job."""
    claim = ledger.claim(ticket(job, **changes))
    assert claim is not None, "expected an offered job to be claimed"
    return claim


def started(ledger: Ledger, **changes: Any) -> Claim:
    """Record a job and claim it."""
    return claimed(ledger, offered(ledger), **changes)


def reoffered(ledger: Ledger, job_id: str, engine: str = FIRST) -> JobRecord:
    """Offer a job again, whatever its state."""
    moved = ledger.offer(ledger.get(job_id), plan(engine))
    assert moved is not None, "expected a job that nothing else changes to be offered again"
    return moved


def taken_over(ledger: Ledger, claim: Claim, engine: str = SECOND) -> Claim:
    """Hand a running job over and claim it; the earlier claim is fenced then."""
    return claimed(ledger, reoffered(ledger, claim.job_id, engine))


def ended(ledger: Ledger, state: JobState) -> Claim:
    """Bring a job to a terminal state; return the claim that it had."""
    claim = started(ledger)
    assert ledger.conclude(claim, ENDINGS[state]) is state
    return claim


def step(name: str = "fetch", seq: int = 0, result: str = '"first"') -> StepRecord:
    """Return a finished step."""
    return StepRecord(name, seq, StepKind.RUN, result)


def is_fenced(work: Callable[[], object]) -> bool:
    """Return whether a call of an attempt is fenced."""
    return raises(Fenced, work)


def raises(kind: type[BaseException], work: Callable[[], object]) -> bool:
    """Return whether a call raises this error."""
    try:
        work()
    except kind:
        return True
    return False


def expect_sound_history(ledger: Ledger, job_id: str) -> None:
    """Check that every event follows from the one before by the table of transitions."""
    events, job = ledger.events(job_id), ledger.get(job_id)
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    assert events[0].kind == "dispatch"
    unsound = [after for before, after in pairwise(events) if not _follows(before, after)]
    assert not unsound, f"expected each event to follow from the one before, got {unsound}"
    assert (events[-1].state, events[-1].epoch) == (job.state, job.epoch)


def _follows(before: HistoryEntry, after: HistoryEntry) -> bool:
    if after.kind in _STAYS:
        return before.state in _STAYS[after.kind] and _same_place(before, after)
    transition = _BY_NAME[after.kind]
    allowed = before.state in transition.sources and after.state is transition.target
    return allowed and after.epoch == before.epoch + transition.new_epoch


def _same_place(before: HistoryEntry, after: HistoryEntry) -> bool:
    return (before.state, before.epoch) == (after.state, after.epoch)
