"""Telemetry: code emits an event once, and its listener logs or counts it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Claim, JobRecord


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: `job.<transition>`, `job.dispatched`, `job.cancel_requested`, `message.refused`,
            `message.rejected`, `engine.failed_over`, `engine.failed_back`, `engine.evacuated`,
            `engine.queue_refused`, `engine.queue_accepted`, `route.tripped`, `record.unfit`,
            `worker.*`, `bridge.*`.
        error: The exception of a final failure, with its traceback; else None.
    """

    kind: str
    job_id: str | None = None
    name: str | None = None
    queue: str | None = None
    engine: str | None = None
    epoch: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: ErrorRecord | None = None

    @classmethod
    def of(
        cls, job: JobRecord | Claim, kind: str, error: ErrorRecord | None = None, /, **detail: Any
    ) -> Self:
        """Return an event of a job, or of a claim on one."""
        job_id = job.id if isinstance(job, JobRecord) else job.job_id
        return cls(kind, job_id, job.name, job.queue, job.engine, job.epoch, detail, error)


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Do nothing with an event."""
