"""What happens, told once: code emits events, listeners log, count or test them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from failsoft.job_engine.records.error_record import ErrorRecord


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: `job.<transition>`, `job.dispatched`, `job.cancel_requested`, `message.refused`,
            `message.rejected`, `engine.failed_over`, `engine.failed_back`,
            `engine.queue_refused`, `engine.queue_accepted`, `worker.*`.
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


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""


class Fanout:
    """One listener made of many."""

    def __init__(self, *listeners: Listener) -> None:
        """Keep the listeners in the order they are told."""
        self._listeners = listeners

    def __call__(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(event)
