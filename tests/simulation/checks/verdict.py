"""What must be true when a run has ended."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from failsoft.job_engine.invariants import History, history_of, repeated_keys, violations
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.routing.guard import GETS_NO_OFFERS
from failsoft.job_engine.records.states import (
    ABANDON,
    ACCEPT,
    DEFER,
    EXPIRE,
    REPLACE,
    RESUME,
    TERMINAL,
    JobState,
)
from tests.simulation.checks.promises import broken_promises
from tests.simulation.checks.related_jobs import broken_together
from tests.simulation.shared_state import SharedState

#: Where the clock was set in a run, no two of its moments can be compared.
ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_OVER = TERMINAL | {JobState.HELD}
#: What no process emits, or not where it is collected.
TOLD_BY_EVENTS = frozenset(each.name for each in (ABANDON, ACCEPT, DEFER, EXPIRE, REPLACE, RESUME))
#: By what the events of an offer say.
TOLD_BY_REASONS = {
    "a route led a job": "route of ",
    "an offer was moved from an engine without offers": GETS_NO_OFFERS,
}


def wrongs(shared: SharedState) -> Iterator[str]:
    """Find everything that a run has done wrong."""
    yield from shared.scheduler.failures
    for ledger in shared.ledgers:
        yield from ledger.wrong
    histories = [history_of(shared.kept, job.id) for job in shared.kept.list_jobs(limit=10**6)]
    for job_id in shared.accepted - {history.job.id for history in histories}:
        yield f"I1: job {job_id} was accepted and is not in the ledger"
    for violation in repeated_keys(history.job for history in histories):
        yield str(violation)
    unsure = [ALWAYS] if shared.clock.was_set else []
    for history in histories:
        _notice(shared, history)
        yield from (str(violation) for violation in violations(history, unsure))
        yield from _wrongs_of(shared, history)
    yield from (str(violation) for violation in broken_together(shared.kept, unsure))
    yield from broken_promises(shared, histories)


def _notice(shared: SharedState, history: History) -> None:
    job, notice = history.job, shared.faults.notice
    if job.handoffs > 1:
        notice("a job changed engine twice")
    if len({attempt.engine for attempt in history.attempts}) > 1:
        notice("a job ran on both engines")
    if len({step.epoch for step in history.steps}) > 1:
        notice("a job resumed after its last finished step")
    for kind in {event.kind for event in history.events} & TOLD_BY_EVENTS:
        notice(f"the ledger told: {kind}")
    if history.events[0].state is JobState.SCHEDULED and job.name == shared.jobs.one_at_once.name:
        notice("a limit let a job wait")
    _notice_end(shared, history)


def _notice_end(shared: SharedState, history: History) -> None:
    job, notice = history.job, shared.faults.notice
    if job.retry_of is not None:
        notice("a job was done again")
    reasons = [str(event.detail.get("reason")) for event in history.events]
    for what, reason in TOLD_BY_REASONS.items():
        if any(reason in each for each in reasons):
            notice(what)
    notice(f"a job ended: {job.state}")
    if job.state is JobState.SUCCEEDED:
        notice(f"it succeeded: {job.name}")


def _wrongs_of(shared: SharedState, history: History) -> Iterator[str]:
    job, seen = history.job, shared.jobs.effect_log.begun
    if job.state not in _OVER and not shared.is_to_come(job):
        yield f"I1: job {job.id} ({job.name}) did not end; it is {job.state}, epoch {job.epoch}"
    begun = {step: n for (job_id, step), n in seen.items() if job_id == job.id}
    for step, times in begun.items():
        if times > job.claims:
            yield f"I7: step {step!r} of {job.id} began {times} times in {job.claims} attempts"
    yield from _wrong_results(history, begun)


def _wrong_results(history: History, begun: dict[str, int]) -> Iterator[str]:
    job = history.job
    done = [step for step in history.steps if step.kind in (StepKind.RUN, StepKind.ONCE)]
    for step in (step for step in done if step.epoch):
        if not begun.get(step.name):
            yield f"I7: step {step.name!r} of {job.id} is recorded and never began"
        if json.loads(step.result) != f"{job.id}:{step.name}":
            yield f"I3: step {step.name!r} of {job.id} has the result {step.result}"
    if job.state is JobState.SUCCEEDED and history.events[-1].kind != ACCEPT.name:
        results = [json.loads(step.result) for step in done]
        if json.loads(job.result or "null") != results:
            yield f"I4: job {job.id} has the result {job.result}, its steps {results}"
