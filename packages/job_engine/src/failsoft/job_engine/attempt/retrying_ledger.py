"""The ledger as one attempt sees it: never away, and never the job's error."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from failsoft.job_engine.attempt.interrupts import CutOff, Fenced, LedgerRefused
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import LedgerUnavailableError, StepError
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim, Conclusion, Progress, StepRecord, Ticket
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import SentEvent, Wait

T = TypeVar("T")

#: The pause before a call of the ledger is repeated.
PAUSE_SECONDS = 0.2


class RetryingLedger:
    """Repeat calls of the ledger while it is away, until this attempt's lease is lost.

    A job never sees the trouble of the ledger: while it is away the step waits, and what it
    refuses ends the attempt by an interrupt, which is not the job's error. Every method of the
    attempt's ledger may be repeated after a lost reply, which is what makes this safe (R12, GN-15).
    """

    def __init__(self, ledger: AttemptLedger, lease: Lease, clock: Clock) -> None:
        self._ledger = ledger
        self._lease = lease
        self._clock = clock

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job."""
        return self._with_retries(lambda: self._ledger.claim(ticket))

    def claim_many(self, tickets: Sequence[Ticket]) -> Sequence[Claim]:
        """Take several offered jobs."""
        return self._with_retries(lambda: self._ledger.claim_many(tickets))

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority before a step."""
        return self._with_retries(lambda: self._ledger.begin(claim, name, seq))

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step."""
        self._with_retries(lambda: self._ledger.record(claim, step))

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Do a step's work in the transaction that records it; what the work raises is its own."""
        raised: list[Exception] = []

        def watched(connection: Any) -> str:
            self._lease.answered()
            try:
                return work(connection)
            except Exception as error:
                raised.append(error)
                raise
            finally:
                self._lease.calling_ledger()

        def call() -> StepRecord:
            raised.clear()
            return self._ledger.record_in(claim, step, watched)

        return self._with_retries(call, raised)

    def receive(self, claim: Claim, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Record what a step waits for, if it is there."""
        return self._with_retries(lambda: self._ledger.receive(claim, step, wait))

    def send(self, event: SentEvent) -> int:
        """Keep an event and wake the jobs that wait for it."""
        return self._with_retries(lambda: self._ledger.send(event))

    def silence(self, thread: int) -> float:
        """Return for how many seconds a thread has waited for a silent ledger."""
        return self._ledger.silence(thread)

    def note_progress(self, claim: Claim, progress: Progress) -> None:
        """Keep how far a job has come; a ledger that is away is not waited for."""
        self._lease.expect_own_process()
        self._ledger.note_progress(claim, progress)

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt."""
        return self._with_retries(lambda: self._ledger.conclude(claim, conclusion))

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew leases."""
        return self._with_retries(lambda: self._ledger.renew(claims))

    def uncharge(self, claim: Claim) -> bool:
        """Take back the crash of a claim that was lost to an outage."""
        return self._with_retries(lambda: self._ledger.uncharge(claim))

    def _with_retries(self, call: Callable[[], T], raised: Sequence[Exception] = ()) -> T:
        """Call the ledger until it answers.

        Args:
            call: The call.
            raised: What the job's own code raised during it.

        Raises:
            Fenced: The lease was lost meanwhile.
            CutOff: The ledger was away for most of the lease.
            LedgerRefused: The ledger refused.
        """
        self._lease.expect_own_process()
        self._lease.calling_ledger()
        try:
            while True:
                since = self._clock.steady()
                try:
                    return call()
                except Exception as error:
                    if _is_the_jobs(error, raised):
                        raise
                    if not isinstance(error, LedgerUnavailableError):
                        raise LedgerRefused(error) from error
                self._give_up_if_lost()
                self._clock.sleep(PAUSE_SECONDS)
                self._lease.excuse(since, self._clock.steady())
        finally:
            self._lease.answered()

    def _give_up_if_lost(self) -> None:
        lost = self._lease.revoked_by
        # An attempt that is over runs no code that must stop, and its end is worth keeping.
        if lost is Fenced or (lost is CutOff and not self._lease.has_ended):
            raise lost


def _is_the_jobs(error: Exception, raised: Sequence[Exception]) -> bool:
    if isinstance(error, StepError) or any(error is each for each in raised):
        return True
    # Its own SQL went on failing: the ledger only said so in its own words.
    own = any(error.__cause__ is each for each in raised)
    return own and not isinstance(error, LedgerUnavailableError)
