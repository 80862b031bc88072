"""Admission: a message that an engine delivered leads to a claim, or to nothing."""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
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

#: The pause between two requests to a ledger that is away, in seconds.
PAUSE_SECONDS = 0.5

logger: logging.Logger = logging.getLogger("failsoft.worker")


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What identifies a worker process: its engine, its queue, its boot id."""

    engine: str
    queue: QueueProfile
    boot_id: str


@dataclass(slots=True)
class Admitted:
    """A message on its way to its claim.

    Attributes:
        wire: The message.
        claimed: Called when it is decided where the message leads.
        ticket: What its claim was tried with, together with others'; that may have been made.
        claim: The claim, where it was made so.
    """

    wire: object
    claimed: Callable[[], object]
    ticket: Ticket | None = None
    claim: Claim | None = None


class _WorkerStopsError(Exception):
    """The worker stops before the ledger came back."""


class Admission:
    """Decode, verify and claim; stale and foreign messages are dropped here (rule 6)."""

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
        """Admit the messages of one worker process.

        Args:
            identity: The process.
            ledger: Where jobs are claimed.
            keys: The keys that messages are signed with.
            clock: Measures the pauses.
            listener: Called with every event.
            stopping: Whether the process stops.
            give_back: Called with the ticket of a claim that may have been made, and is not used.
        """
        self._give_back = give_back
        self._identity = identity
        self._ledger = ledger
        self._keys = keys
        self._clock = clock
        self._listener = listener
        self._stopping = stopping

    def claim_together(self, messages: Sequence[Admitted]) -> None:
        """Claim what several messages lead to, in few transactions; `admit` goes on with each.

        Waits for no ledger that is away, and raises nothing: what is not claimed here is admitted
        alone, and meets its own trouble there. A claim that was made, and whose reply was lost, is
        found there by its ticket (R13).
        """
        shown: dict[str, Admitted] = {}
        for each in messages:
            with suppress(MessageRejectedError, LedgerError):
                message = Message.from_wire(each.wire)
                self._keys.verify(message, self._identity.engine)
                each.ticket = self._ticket(message)
                shown[each.ticket.claim_id] = each
        try:
            made = self._ledger.claim_many([each.ticket for each in shown.values() if each.ticket])
        except Exception as error:  # noqa: BLE001 - it may be another's fault: each meets its own
            logger.info("claims are made one by one: %s", error)
            return
        for claim in made:
            shown[claim.claim_id].claim = claim
        for claim in made:
            self._decided_together(shown[claim.claim_id], claim)

    def _decided_together(self, admitted: Admitted, claim: Claim) -> None:
        try:
            self._emit_claim(claim)
            admitted.claimed()
        except Exception:
            # Of an engine, or a listener: the other claims are made, and must be run.
            logger.exception("the engine could not be notified of a claim")

    def admit(
        self,
        wire: object,
        claimed: Callable[[], object] = nothing,
        ticket: Ticket | None = None,
    ) -> Claim | None:
        """Return the claim that a message leads to, or None if it leads to none.

        While the ledger is away nothing starts: this waits for it (R18, DB-08).

        Args:
            wire: The message.
            claimed: Called when it is decided where the message leads; not if the worker stops
                before that.
            ticket: What its claim was tried with already.
        """
        claim = None
        try:
            claim = self._begin(ticket or self._ticket(self._read(wire)))
        except MessageRejectedError as error:
            self.reject(error)
        except _WorkerStopsError:
            # An engine that gave the message away has lost it; the ledger's row is not lost, and is
            # offered again (R13).
            return None
        except LedgerError:
            # The same; the engine gets no error, and nothing runs without a claim.
            logger.exception("the ledger refused a message of %s", self._identity.engine)
        claimed()
        return claim

    def _begin(self, ticket: Ticket) -> Claim | None:
        try:
            claim = self._claim(ticket)
        except JobDeferredError as error:
            self._emit("job.defer", ticket, reason=str(error))
            return None
        if claim is None:
            self._emit("message.refused", ticket, reason="stale")
        else:
            self._emit_claim(claim)
        return claim

    def _emit_claim(self, claim: Claim) -> None:
        detail: dict[str, object] = {"attempt": claim.attempt, "worker": claim.worker}
        if claim.waited is not None:
            detail["waited_s"] = round(claim.waited.total_seconds(), 4)
        self._emit("job.claim", claim, claim.name, **detail)

    def reject(self, error: MessageRejectedError) -> None:
        """Emit the event of a message that is not this program's."""
        self._emit("message.rejected", None, reason=str(error))

    def _read(self, wire: object) -> Message:
        message = Message.from_wire(wire)
        while True:
            try:
                self._keys.verify(message, self._identity.engine)
            except LedgerUnavailableError:
                self._wait()
            else:
                return message

    def _ticket(self, message: Message) -> Ticket:
        return Ticket(
            message.job_id,
            message.epoch,
            self._identity.engine,
            self._identity.queue.name,
            secrets.token_hex(16),
            self._identity.boot_id,
            self._identity.queue.lease,
        )

    def _claim(self, ticket: Ticket) -> Claim | None:
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

    def _emit(
        self, kind: str, of: Ticket | Claim | None, name: str | None = None, **detail: object
    ) -> None:
        job_id, epoch = (of.job_id, of.epoch) if of else (None, None)
        queue, engine = self._identity.queue.name, self._identity.engine
        self._listener(Event(kind, job_id, name, queue, engine, epoch, detail))
