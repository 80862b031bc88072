"""The contract of what people do to jobs: what `Ledger` needs besides carrying jobs on."""

from typing import Protocol

from understudy.job_engine.records import JobRecord
from understudy.job_engine.resolution import Resolution


class ControlLedger(Protocol):
    """What a person may change; each method leaves the same behind however often it is called."""

    def resolve(self, seen: JobRecord, resolution: Resolution) -> JobRecord | None:
        """Let a held job go on, or end it; None if it is no longer as it was seen (rule 4).

        A job that goes on is due at once. Those of its steps in doubt that are `done` keep the
        given result under epoch 0, which no attempt has; the others are forgotten and may begin
        again. The event names both (I6).
        """
        ...
