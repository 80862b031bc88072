"""What jobs may have to do with each other, let happen in a ledger on SQL."""

from failsoft.job_engine.records.groups import member_id
from failsoft.job_engine.records.job import StepKind, StepRecord
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from failsoft.testing.ledger_suite import fixtures
from failsoft.testing.ledger_suite.dispatching import schedules
from failsoft.testing.ledger_suite.flow import chains, events, follow_ups, invoked_jobs


def everything_happens(ledger: SqlLedger, schedule: str = "sweep") -> None:
    """Let everything happen that jobs may have to do with each other, and leave some of it open."""
    for ends in JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED:
        first, _, _ = chains.chain(ledger, field="report")
        chains.run(ledger, first.id, ends)
        made = chains.group(ledger, 2, "all_succeeded")
        for place, state in enumerate((JobState.SUCCEEDED, ends)):
            chains.run(ledger, member_id(made.id, place), state)
        chains.run(ledger, chains.group(ledger, 3).id + "-1", ends)
        _, child = invoked_jobs.invoked(ledger)
        chains.run(ledger, child.id, ends)
    over = chains.group(ledger, 1)
    chains.run(ledger, member_id(over.id, 0))
    chains.run(ledger, str(over.completion_id))
    chains.group(ledger, 2, sealed=False)
    parent, _ = invoked_jobs.invoked(ledger)
    ledger.cancel(parent.job_id, "somebody")
    invoked(ledger)
    failed = follow_ups.hooked(ledger)
    ledger.conclude(failed, fixtures.FAILURE)
    ledger.retry(ManualRetry(failed.job_id, "ada"))
    seen = schedules.declared(ledger, schedule)
    for _ in range(3):
        ledger.take_tick(seen, schedules.tick_of(seen))
        seen = schedules.the(ledger, schedule)
    received(ledger)
    awaiting(ledger)
    ledger.pause(Pause("queue", "data-sync", "ada"))


def invoked(ledger: SqlLedger) -> tuple[str, str]:
    """Let a job invoke another and receive its end; return both."""
    parent, child = invoked_jobs.invoked(ledger)
    chains.run(ledger, child.id)
    invoked_jobs.outcome_of(ledger, parent, child)
    return parent.job_id, child.id


def received(ledger: SqlLedger) -> str:
    """Let a job receive an event."""
    claim = fixtures.started(ledger)
    wait = events.wait_of(claim)
    ledger.send(events.event_for(wait, 1))
    ledger.receive(claim, StepRecord("wait", 0, StepKind.WAIT, "{}"), wait)
    return claim.job_id


def awaiting(ledger: SqlLedger) -> str:
    """Let a job wait for an event that nobody has sent."""
    claim = fixtures.started(ledger)
    events.suspend(ledger, claim, events.wait_of(claim))
    return claim.job_id
