"""The contract of what people do to jobs: what `Ledger` needs besides carrying jobs on."""

from collections.abc import Sequence
from typing import Protocol

from failsoft.job_engine.records.engine_switch import DisabledEngine, EngineLoad
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.manual_retry import DeadLetters, ManualRetry
from failsoft.job_engine.records.pauses import Pausable, Pause
from failsoft.job_engine.records.resolution import Resolution


class ControlLedger(Protocol):
    """What a person may change; each method leaves the same behind however often it is called."""

    def resolve(self, seen: JobRecord, resolution: Resolution) -> JobRecord | None:
        """Let a held job go on, or end it; None if it is no longer as it was seen (rule 4).

        A job that goes on is due at once. Those of its steps in doubt that are `done` keep the
        given result under epoch 0, which no attempt has; the others are forgotten and may begin
        again. The event names both (I6).
        """
        ...

    def retry(self, retry: ManualRetry) -> tuple[JobRecord, bool]:
        """Record a new job that does an ended job's work again, due at once (rule 19).

        The ended job stays as it is (I4), and so does what its idempotency key points at. What
        was recorded of its steps is copied in the same transaction, under epoch 0, which no
        attempt has; a step in doubt stays in doubt. A unique key that it held while it was
        incomplete is held by the new job (I10); keys that limit dispatches are not.

        Returns:
            The job and whether it is new: asking for the same again makes no second one.

        Raises:
            JobNotFoundError: If there is no such job.
            JobStateError: If it has not ended; for a plain retry, if it has not failed.
            UniqueKeyHeldError: If another job holds the unique key.
            OptionInvalidError: If the old job held a unique key and the payload's is unknown.
            StepError: If the step to replay from is not recorded.
        """
        ...

    def dead_letters(self, wanted: DeadLetters) -> Sequence[str]:
        """Return the ids of failed jobs that were not tried again, the oldest first."""
        ...

    def again(self, job_id: str) -> Sequence[JobRecord]:
        """Return the jobs that do a job's work again, the oldest first."""
        ...

    def pause(self, pause: Pause) -> Pause:
        """Let no job of a queue, or of a definition, begin; return the pause that holds now.

        Such jobs are not due and cannot be claimed; what runs goes on to its end. Of a paused
        engine no offer can be claimed; its jobs are due, for another engine may have them.
        """
        ...

    def unpause(self, kind: Pausable, name: str) -> bool:
        """Let jobs begin again; return whether it was paused."""
        ...

    def pauses(self) -> Sequence[Pause]:
        """Return what is paused: queues, definitions, engines."""
        ...

    def disable_engine(self, engine: DisabledEngine) -> DisabledEngine:
        """Let an engine get no offers from any process; return what holds now."""
        ...

    def enable_engine(self, name: str) -> bool:
        """Let an engine get offers again; return whether it was disabled."""
        ...

    def disabled_engines(self) -> Sequence[DisabledEngine]:
        """Return the engines that are disabled, by name."""
        ...

    def engine_load(self, engine: str) -> EngineLoad:
        """Return what an engine still has: offers that wait there, and attempts that run."""
        ...
