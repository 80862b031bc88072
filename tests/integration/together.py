"""What jobs may have to do with each other, let happen in a ledger on SQL."""

from understudy.job_engine.groups import member_id
from understudy.job_engine.pause import Pause
from understudy.job_engine.records import StepKind, StepRecord
from understudy.job_engine.retrial import Retrial
from understudy.job_engine.states import JobState
from understudy.ledger import SqlLedger
from understudy.testing.ledger_suite import flowing, invoking, meeting, scene, scheduling, sequels


def everything_happens(ledger: SqlLedger, schedule: str = "sweep") -> None:
    """Let everything happen that jobs may have to do with each other, and leave some of it open."""
    for ends in JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED:
        first, _, _ = flowing.chain(ledger, field="report")
        flowing.run(ledger, first.id, ends)
        made = flowing.group(ledger, 2, "all_succeeded")
        for place, state in enumerate((JobState.SUCCEEDED, ends)):
            flowing.run(ledger, member_id(made.id, place), state)
        flowing.run(ledger, flowing.group(ledger, 3).id + "-1", ends)
        _, child = invoking.invoked(ledger)
        flowing.run(ledger, child.id, ends)
    over = flowing.group(ledger, 1)
    flowing.run(ledger, member_id(over.id, 0))
    flowing.run(ledger, str(over.completion_id))
    flowing.group(ledger, 2, sealed=False)
    parent, _ = invoking.invoked(ledger)
    ledger.cancel(parent.job_id, "somebody")
    told(ledger)
    failed = sequels.hooked(ledger)
    ledger.conclude(failed, scene.FAILURE)
    ledger.retry(Retrial(failed.job_id, "ada"))
    seen = scheduling.declared(ledger, schedule)
    for _ in range(3):
        ledger.take_tick(seen, scheduling.tick_of(seen))
        seen = scheduling.the(ledger, schedule)
    received(ledger)
    awaiting(ledger)
    ledger.pause(Pause("queue", "data-sync", "ada"))


def told(ledger: SqlLedger) -> tuple[str, str]:
    """Let a job invoke another and be told its end; return both."""
    parent, child = invoking.invoked(ledger)
    flowing.run(ledger, child.id)
    invoking.told(ledger, parent, child)
    return parent.job_id, child.id


def received(ledger: SqlLedger) -> str:
    """Let a job receive an event."""
    claim = scene.started(ledger)
    wait = meeting.wait_of(claim)
    ledger.send(meeting.event_for(wait, 1))
    ledger.receive(claim, StepRecord("wait", 0, StepKind.WAIT, "{}"), wait)
    return claim.job_id


def awaiting(ledger: SqlLedger) -> str:
    """Let a job wait for an event that nobody has sent."""
    claim = scene.started(ledger)
    meeting.suspend(ledger, claim, meeting.wait_of(claim))
    return claim.job_id
