# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about jobs that have ended, and about jobs that are held."""

from contextlib import suppress
from dataclasses import replace

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, Conclusion, JobRecord, Ticket
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ENDINGS,
    ERROR,
    FIRST,
    LONG,
    SECOND,
    plan,
    started,
    step,
)


class TerminalStatePromises:
    """Terminal states never change by themselves (rule 19, I4)."""

    def test_a_succeeded_job_stays_so(self, ledger: Ledger) -> None:
        """Its result is recorded once."""
        _expect_absorbing(ledger, JobState.SUCCEEDED)

    def test_a_failed_job_stays_so(self, ledger: Ledger) -> None:
        """The dead letter waits for a person."""
        _expect_absorbing(ledger, JobState.FAILED)

    def test_a_cancelled_job_stays_so(self, ledger: Ledger) -> None:
        """It never starts again."""
        _expect_absorbing(ledger, JobState.CANCELLED)

    def test_a_held_job_is_left_alone(self, ledger: Ledger) -> None:
        """Only a person may go on with it (rule 10)."""
        claim = started(ledger)
        seen = ledger.get(claim.job_id)
        ledger.conclude(claim, Conclusion(HOLD, error=ERROR))

        _try_everything(ledger, claim, seen)

        job = ledger.get(claim.job_id)
        assert (job.state, job.epoch, job.error) == (JobState.HELD, claim.epoch, ERROR)
        assert not ledger.due(10)
        assert not ledger.unclaimed(10)
        assert not ledger.running()


def _expect_absorbing(ledger: Ledger, state: JobState) -> None:
    claim = started(ledger)
    running = ledger.get(claim.job_id)
    ledger.conclude(claim, ENDINGS[state])
    over = ledger.get(claim.job_id)
    events = list(ledger.events(claim.job_id))

    _try_everything(ledger, claim, running)
    ledger.cancel(claim.job_id, "ada")

    assert over.state is state
    assert ledger.get(claim.job_id) == over
    assert list(ledger.events(claim.job_id)) == events


def _try_everything(ledger: Ledger, claim: Claim, seen: JobRecord) -> None:
    """Try every transition, from every earlier view of the job."""
    states = (JobState.SCHEDULED, JobState.OFFERED, JobState.RUNNING)
    forged = [replace(ledger.get(claim.job_id), state=state) for state in states]
    for conclusion in CONCLUSIONS:
        with suppress(Interrupt):
            ledger.conclude(claim, conclusion)
    with suppress(Interrupt):
        ledger.record(claim, step())
    ledger.renew([claim])
    for epoch in (claim.epoch, claim.epoch + 1):
        ledger.claim(Ticket(claim.job_id, epoch, FIRST, claim.queue, "c" * 32, "worker-2", LONG))
    for view in (seen, *forged):
        ledger.offer(view, plan(SECOND))
        ledger.park(view, LONG, "no engine took it")
        ledger.exhaust(view, ERROR)
        ledger.postpone(view, LONG)
