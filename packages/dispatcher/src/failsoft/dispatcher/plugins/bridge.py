"""A bridge: what leads records of others' streams into the ledger, and its outbox out to them.

An engine may have one beside its two halves. It is a process of its own, since it serves no queue,
and any number of them run.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from failsoft.dispatcher.dispatching.bulk import DispatchOutcome, DispatchRequest
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.outbox import OutboxLedger
from failsoft.job_engine.telemetry import Event, Listener


class DispatchMany(Protocol):
    """Dispatches jobs of one definition, as `Dispatcher.dispatch_many` does."""

    def __call__(
        self, job: AnyDefinition, items: Sequence[DispatchRequest[Any]], /
    ) -> Sequence[DispatchOutcome[Any]]:
        """Return what became of each: a handle, or the error."""
        ...


@dataclass(frozen=True, slots=True)
class BridgePost:
    """The place of one bridge's process: what it calls.

    Attributes:
        engine: What the operator calls the engine.
        boot_id: What the process is known by.
        dispatch: What dispatches the jobs of records.
        is_sharded: Whether there are several ledgers, among which a shard divides the jobs.
        outbox: The outbox of the ledger.
        clock: Where time comes from.
        listener: Called with every event.
    """

    engine: str
    boot_id: str
    dispatch: DispatchMany
    is_sharded: bool
    outbox: OutboxLedger
    clock: Clock
    listener: Listener

    def emit(self, kind: str, job_id: str, name: str, **detail: object) -> None:
        """Emit an event about a job that the bridge dispatched."""
        self.listener(Event(kind, job_id, name, engine=self.engine, detail=detail))


class EngineBridge(Protocol):
    """Consumes and publishes until it is stopped."""

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; then return, within a few seconds.

        Raises:
            FailsoftError: If it cannot go on; the supervisor starts another.
        """
        ...
