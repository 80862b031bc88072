"""An engine in memory that fails in each of the ways a broker does."""

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    EngineRefusedError,
    EngineUnavailableError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.message import Message
from failsoft.testing.memory_engine import MemoryEngine
from failsoft.testkit.results import Failure

#: The failures in which workers get no message either.
_CLOSED = frozenset({"refuse", "silent", "readonly"})


class KitEngine(MemoryEngine):
    """`MemoryEngine` with the failures of `Testkit.fail_engine`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._how: Failure | None = None
        self._times: int | None = None
        self._last: dict[str, Message] = {}

    @property
    def is_closed(self) -> bool:
        """Whether workers get nothing from it."""
        return self._how in _CLOSED and self._times is None

    def fail(self, how: Failure, times: int | None) -> None:
        """Fail the next offers, or all of them until `heal`."""
        self._how, self._times = how, times

    def heal(self) -> None:
        """Take offers again."""
        self._how = self._times = None

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Keep the message, or fail as it was told.

        Raises:
            EngineError: It was told so.
        """
        how = self._next_failure()
        if how == "refuse":
            raise EngineUnavailableError(f"{self.name} refused the connection: set by fail_engine")
        if how == "silent":
            raise OfferUncertainError(f"{self.name} did not answer: set by fail_engine")
        if how == "readonly":
            raise EngineRefusedError(f"{self.name} takes no writes: set by fail_engine")
        self._last[message.job_id] = message
        super().offer(message, queue, deadline)
        if how == "forgets":
            self.withdraw(message, queue)
        if how == "lost-reply":
            raise OfferUncertainError(f"{self.name} lost its reply: set by fail_engine")

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Return whether it is up, and how many messages wait."""
        if self.is_closed:
            return EngineHealth(healthy=False, detail=f"{self.name} is down: set by fail_engine")
        return super().probe(queue, deadline)

    def holds(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool | None:
        """Return whether the message waits; unknown while it is down."""
        return None if self.is_closed else super().holds(message, queue, deadline)

    def take(self, queue: QueueProfile) -> Message | None:
        """Remove and return the next message; None while it is down."""
        return None if self.is_closed else super().take(queue)

    def deliver_again(self, job_id: str) -> bool:
        """Put the newest message of a job into its queue again; return whether there is one."""
        message = self._last.get(job_id)
        if message is not None:
            self.redeliver(message)
        return message is not None

    def _next_failure(self) -> Failure | None:
        how = self._how
        if self._times is not None:
            self._times -= 1
            if self._times <= 0:
                self.heal()
        return how
