"""Dramatiq on RabbitMQ or Redis: the fallback engine."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from failsoft.engine_api import (
    DEFAULT_NAMESPACE,
    Claiming,
    Deadline,
    EngineError,
    EngineHealth,
    Message,
    Owner,
    QueueProfile,
    WaitingMessage,
    queue_name,
)
from failsoft.engines.dramatiq.messages import Inbox, pack
from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from failsoft.engines.dramatiq.redis import SafeRedisBroker
from failsoft.engines.dramatiq.settings import QueueType
from failsoft.queue import shared_client
from failsoft.queue.client import COMMAND_TIMEOUT

SafeBroker = SafeRabbitmqBroker | SafeRedisBroker


def make_broker(
    url: str,
    namespace: str = DEFAULT_NAMESPACE,
    inbox: Inbox | None = None,
    *,
    queue_type: QueueType = "classic",
    answer_within: timedelta = COMMAND_TIMEOUT,
) -> SafeBroker:
    """Return the broker for a URL: `amqp://` or `amqps://`, else Redis, which has no types.

    Redis answers within the time that is given; RabbitMQ's connection has bounds of its own.
    """
    if url.startswith(("amqp://", "amqps://")):
        return SafeRabbitmqBroker(url, inbox, queue_type)
    purpose = "dramatiq-worker" if inbox else "dramatiq"
    return SafeRedisBroker(shared_client(url, purpose, answer_within), namespace, inbox)


class DramatiqEngine:
    """`EngineAdapter` of Dramatiq: one message per offer, to the one actor there is."""

    def __init__(
        self, broker: SafeBroker, namespace: str = DEFAULT_NAMESPACE, name: str = "dramatiq"
    ) -> None:
        self.name = name
        self._broker = broker
        self._namespace = namespace

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Publish the message and wait for the broker's confirm."""
        self._broker.enqueue(pack(message, queue_name(queue, self._namespace)))

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Publish messages and wait once for all of them."""
        name = queue_name(queue, self._namespace)
        return self._broker.enqueue_many([pack(message, name) for message in messages])

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Write to the broker and count what waits in the queue."""
        return self._broker.probe(queue_name(queue, self._namespace))

    def owner(self, ledger_id: str, deadline: Deadline, claiming: Claiming) -> Owner:
        """Return whose the namespace is on this broker."""
        return self._broker.owner(self._namespace, ledger_id, claiming)

    def waiting(self, queue: QueueProfile) -> Iterable[WaitingMessage] | None:
        """Read the newest messages of a queue; RabbitMQ shows them to consumers alone."""
        return self._broker.waiting(queue_name(queue, self._namespace))

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Do nothing: no broker of Dramatiq's can take a single message back."""

    def keep_alive(self) -> None:
        """Keep the idle connection of this thread alive."""
        self._broker.keep_alive()

    def disconnect(self) -> None:
        """Close the connection of this thread."""
        self._broker.forget_connection()
