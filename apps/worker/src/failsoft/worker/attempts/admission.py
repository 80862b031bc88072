"""The door: what an engine delivered becomes a claim, or nothing."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from failsoft.dispatcher.offering.bounded_caller import nothing
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import (
    JobDeferredError,
    LedgerError,
    LedgerUnavailableError,
    MessageRejectedError,
)
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim, Ticket
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.job_engine.telemetry import Event, Listener

#: The pause before a ledger that is away is asked again, in seconds.
PAUSE_SECONDS = 0.5

logger: logging.Logger = logging.getLogger("failsoft.worker")


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Where a worker process stands: its engine, its queue, its boot id."""

    engine: str
    queue: QueueProfile
    boot_id: str


class _WorkerStopsError(Exception):
    """The worker stops before the ledger came back."""


class Admission:
    """Decode, verify and claim; a stale or a stranger's message ends here (rule 6)."""

    def __init__(
        self,
        identity: WorkerIdentity,
        ledger: AttemptLedger,
        keys: KeyRing,
        *,
        clock: Clock,
        listener: Listener,
        stopping: Callable[[], bool],
        give_back: Callable[[Ticket], object] = lambda ticket: None,
    ) -> None:
        """Stand at the door of one worker process.

        Args:
            identity: Which process that is.
            ledger: Where jobs are claimed.
            keys: What messages are signed with.
            clock: Where time comes from.
            listener: What is called with every event.
            stopping: Whether the process stops.
            give_back: Takes what was shown for a claim that may have been made and is not wanted.
        """
        self._give_back = give_back
        self._identity = identity
        self._ledger = ledger
        self._keys = keys
        self._clock = clock
        self._listener = listener
        self._stopping = stopping

    def admit(self, wire: object, claimed: Callable[[], object] = nothing) -> Claim | None:
        """Return the claim that a message leads to, or None if it leads nowhere.

        While the ledger is away nothing starts: this waits for it (R18, DB-08).

        Args:
            wire: The message.
            claimed: Called when it is decided where the message leads; not if the worker stops
                before that.
        """
        claim = None
        try:
            claim = self._begin(self._read(wire))
        except MessageRejectedError as error:
            self.reject(error)
        except _WorkerStopsError:
            # An engine that gave the message away has lost it; the ledger's row is not lost, and is
            # offered again (R13).
            return None
        except LedgerError:
            # The same: no engine may see the error, and nothing may run that was not claimed.
            logger.exception("the ledger refused a message of %s", self._identity.engine)
        claimed()
        return claim

    def _begin(self, message: Message) -> Claim | None:
        try:
            claim = self._claim(message)
        except JobDeferredError as error:
            self._emit("job.defer", message, reason=str(error))
            return None
        if claim is None:
            self._emit("message.refused", message, reason="stale")
        else:
            self._emit("job.claim", message, claim.name, attempt=claim.attempt, worker=claim.worker)
        return claim

    def reject(self, error: MessageRejectedError) -> None:
        """Count a message that is not ours."""
        detail = {"reason": str(error)}
        self._listener(
            Event(
                "message.rejected",
                queue=self._identity.queue.name,
                engine=self._identity.engine,
                detail=detail,
            )
        )

    def _read(self, wire: object) -> Message:
        message = Message.from_wire(wire)
        while True:
            try:
                self._keys.verify(message, self._identity.engine)
            except LedgerUnavailableError:
                self._wait()
            else:
                return message

    def _claim(self, message: Message) -> Claim | None:
        ticket = Ticket(
            message.job_id,
            message.epoch,
            self._identity.engine,
            self._identity.queue.name,
            secrets.token_hex(16),
            self._identity.boot_id,
            self._identity.queue.lease,
        )
        try:
            while True:
                try:
                    return self._ledger.claim(ticket)
                except LedgerUnavailableError:
                    self._wait()
        except JobDeferredError:
            raise
        except Exception:
            # The commit may have gone through and its reply been lost (R13).
            self._give_back(ticket)
            raise

    def _wait(self) -> None:
        if self._stopping():
            raise _WorkerStopsError
        self._clock.sleep(PAUSE_SECONDS)

    def _emit(self, kind: str, message: Message, name: str | None = None, **detail: object) -> None:
        self._listener(
            Event(
                kind,
                job_id=message.job_id,
                name=name,
                queue=self._identity.queue.name,
                engine=self._identity.engine,
                epoch=message.epoch,
                detail=detail,
            )
        )
