"""A ledger that is waited for while the attempt's lease lasts."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from understudy.job_engine.awaited import SentEvent, Wait
from understudy.job_engine.clock import Clock
from understudy.job_engine.errors import LedgerUnavailableError
from understudy.job_engine.interrupts import Fenced
from understudy.job_engine.lease import Lease
from understudy.job_engine.ports import AttemptLedger
from understudy.job_engine.records import Claim, Conclusion, Progress, StepRecord, Ticket
from understudy.job_engine.states import JobState

T = TypeVar("T")

#: The pause before the ledger is asked again.
PAUSE_SECONDS = 0.2


class PatientLedger:
    """Ask the ledger again while it is away, until this attempt's lease is fenced.

    A job never sees an outage of the ledger: its step waits. Every method of the attempt's
    ledger may be repeated after a lost reply, which is what makes this safe (R12, GN-15).
    """

    def __init__(self, ledger: AttemptLedger, lease: Lease, clock: Clock) -> None:
        """Wait on behalf of one attempt."""
        self._ledger = ledger
        self._lease = lease
        self._clock = clock

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job."""
        return self._patiently(lambda: self._ledger.claim(ticket))

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority before a step."""
        return self._patiently(lambda: self._ledger.begin(claim, name, seq))

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step."""
        self._patiently(lambda: self._ledger.record(claim, step))

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Do a step's work in the transaction that records it."""
        return self._patiently(lambda: self._ledger.record_in(claim, step, work))

    def receive(self, claim: Claim, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Record what a step waits for, if it is there."""
        return self._patiently(lambda: self._ledger.receive(claim, step, wait))

    def send(self, event: SentEvent) -> int:
        """Keep an event and wake those who wait for it."""
        return self._patiently(lambda: self._ledger.send(event))

    def note_progress(self, claim: Claim, progress: Progress) -> None:
        """Keep how far a job has come; a ledger that is away is not waited for."""
        self._ledger.note_progress(claim, progress)

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt."""
        return self._patiently(lambda: self._ledger.conclude(claim, conclusion))

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew leases."""
        return self._patiently(lambda: self._ledger.renew(claims))

    def _patiently(self, ask: Callable[[], T]) -> T:
        while True:
            try:
                return ask()
            except LedgerUnavailableError:
                if self._lease.revoked_by is Fenced:
                    raise Fenced from None
                self._clock.sleep(PAUSE_SECONDS)
