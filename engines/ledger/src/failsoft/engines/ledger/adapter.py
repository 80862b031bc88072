"""The half that offers: the row that a dispatch has committed is the message.

So an offer has nothing to hand over. It wakes the workers that wait, after the commit and in a
transaction of its own: PostgreSQL lets one transaction at a time commit a notification, and would
let the offers of all processes wait for the disk one after the other (decision 0072).
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from pydantic import BaseModel

from failsoft.engine_api import (
    Deadline,
    EngineError,
    EngineHealth,
    EngineSite,
    EngineUnavailableError,
    LedgerError,
    Message,
    QueueProfile,
)


class LedgerSettings(BaseModel):
    """The engine `ledger` has no settings: it is where `FAILSOFT_LEDGER_URL` says."""


class LedgerEngine:
    """`EngineAdapter` of the ledger itself."""

    def __init__(self, site: EngineSite[LedgerSettings]) -> None:
        self.name: str = site.name
        self._offers = site.offers

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Wake the workers of the queue; what is offered, they have before."""
        self._wake(queue, deadline)

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Wake the workers of the queue once."""
        if messages:
            self._wake(queue, deadline)
        return [None] * len(messages)

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Write to the ledger, and count what waits."""
        try:
            self._offers.expect_writable(_left(deadline))
            backlog = self._offers.count(self.name, queue.name)
        except LedgerError as error:
            return EngineHealth(healthy=False, detail=str(error))
        return EngineHealth(healthy=True, detail="the ledger takes writes", backlog=backlog)

    def holds(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool | None:
        """Return whether the offer waits for its claim: its row says so."""
        try:
            return self._offers.holds(self.name, queue.name, message)
        except LedgerError as error:
            raise EngineUnavailableError(f"the ledger does not answer: {error}") from error

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Leave it: an offer that is void is no row any more."""

    def _wake(self, queue: QueueProfile, deadline: Deadline) -> None:
        # Where no wake goes through, they find the offer by their next look.
        with suppress(LedgerError):
            self._offers.wake(self.name, queue.name, _left(deadline))


def _left(deadline: Deadline) -> timedelta:
    return timedelta(seconds=max(0.01, deadline.remaining()))
