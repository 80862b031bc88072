"""An engine in memory, for tests: it keeps offers and breaks on demand."""

import json
import threading
from collections import deque

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    EngineRefusedError,
    EngineUnavailableError,
    MessageRejectedError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.message import Message


class MemoryEngine:
    """`EngineAdapter` that keeps its messages in this process, as JSON text.

    It fails as a broker does: on demand it keeps an offer twice, delivers it again, loses its
    messages, refuses, is down, or takes an offer and loses the reply.

    Attributes:
        name: The engine's name.
        rejected: How many foreign messages `take` has dropped.
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.rejected: int = 0
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[bytes]] = {}
        self._queues: dict[Message, str] = {}
        self._outage: Exception | None = None
        self._next_error: Exception | None = None
        self._refused: dict[str, OfferRefusedError] = {}
        self._replies_to_lose = 0

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Keep the message, or raise the error that was set."""
        with self._lock:
            self._fail_if_set(queue)
            body = _to_text(message)
            self._queues[message] = queue.name
            self._lane(queue.name).append(body)
            if self._replies_to_lose > 0:
                self._replies_to_lose -= 1
                raise OfferUncertainError(f"{self.name} took the offer and lost the reply")

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Return whether it is up, and how many messages wait."""
        with self._lock:
            error = self._outage or self._refused.get(queue.name)
            if error is not None:
                of_queue = isinstance(error, OfferRefusedError) and not isinstance(
                    error, EngineRefusedError
                )
                return EngineHealth(healthy=False, detail=str(error), is_refused=of_queue)
            return EngineHealth(True, f"{self.name} is up", len(self._lane(queue.name)))

    def holds(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool | None:
        """Return whether the message waits; unknown while the engine is down."""
        with self._lock:
            return None if self._outage is not None else _to_text(message) in self._lane(queue.name)

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Forget a waiting message, unless the engine is down."""
        with self._lock:
            lane, body = self._lane(queue.name), _to_text(message)
            if self._outage is None and body in lane:
                lane.remove(body)

    def fail_next(self, error: Exception) -> None:
        """Raise the error at the next offer, and do not keep that one."""
        self._next_error = error

    def down(self, error: Exception | None = None) -> None:
        """Refuse offers until `up`, with the error or `EngineUnavailableError`."""
        self._outage = error or EngineUnavailableError(f"{self.name} is down")

    def refuse(self, queue: QueueProfile, error: OfferRefusedError | None = None) -> None:
        """Refuse the offers of one queue until `up`."""
        self._refused[queue.name] = error or OfferRefusedError(f"{queue.name} is full")

    def up(self) -> None:
        """Take offers again."""
        self._outage = self._next_error = None
        self._refused.clear()
        self._replies_to_lose = 0

    def lose_replies(self, times: int = 1) -> None:
        """Keep the next offers, and raise `OfferUncertainError` all the same."""
        self._replies_to_lose = times

    def drop_messages(self) -> None:
        """Forget every message, as a broker does that lost its data."""
        with self._lock:
            self._waiting.clear()

    def take(self, queue: QueueProfile) -> Message | None:
        """Remove and return the next message of ours; drop and count foreign ones."""
        with self._lock:
            lane = self._lane(queue.name)
            while lane:
                message = self._read(lane.popleft())
                if message is not None:
                    return message
            return None

    def messages(self, queue: QueueProfile) -> list[Message]:
        """Return the messages of ours that wait, the oldest first."""
        with self._lock:
            return [Message.from_wire(body) for body in self._lane(queue.name) if _is_ours(body)]

    def redeliver(self, message: Message) -> None:
        """Put a message that was offered before into its queue again."""
        with self._lock:
            self._lane(self._queues[message]).append(_to_text(message))

    def plant(self, queue: QueueProfile, body: bytes) -> None:
        """Put foreign bytes where offers wait."""
        with self._lock:
            self._lane(queue.name).append(body)

    def _lane(self, queue: str) -> deque[bytes]:
        return self._waiting.setdefault(queue, deque())

    def _fail_if_set(self, queue: QueueProfile) -> None:
        error = self._next_error or self._outage or self._refused.get(queue.name)
        self._next_error = None
        if error is not None:
            raise error

    def _read(self, body: bytes) -> Message | None:
        try:
            return Message.from_wire(body)
        except MessageRejectedError:
            self.rejected += 1
            return None


def _to_text(message: Message) -> bytes:
    return json.dumps(message.to_wire()).encode()


def _is_ours(body: bytes) -> bool:
    try:
        Message.from_wire(body)
    except MessageRejectedError:
        return False
    return True
