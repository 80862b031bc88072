"""The ledger as jobs that wait need it, and code that sends what is waited for."""

from typing import Protocol

from failsoft.job_engine.records.job import Claim, StepRecord
from failsoft.job_engine.records.waits import SentEvent, Wait


class WaitLedger(Protocol):
    """A wait and what answers it are each one transaction, and one of the two sees the other."""

    def receive(self, claim: Claim, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Record what a step waits for, if it is there or the wait has lasted too long.

        An event is the oldest that was sent to the topic, is still kept, and that no step of
        this job has received.

        Returns:
            The step as it is recorded, `answered`, its result a JSON object: of an event its `id`
            and `payload`, of a job its `state`, `result` and `error`, or `timeout`; None if the
            job has to wait.

        Raises:
            Fenced: If another attempt has the authority.
        """
        ...

    def send(self, event: SentEvent) -> int:
        """Keep an event and wake the jobs that wait for it; return how many those were.

        Repeating it is harmless: an id is kept once.
        """
        ...
