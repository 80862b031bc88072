"""The half that offers: one task of Celery's an offer."""

from collections.abc import Sequence
from datetime import timedelta

from failsoft.engine_api import (
    Claiming,
    Deadline,
    EngineError,
    EngineHealth,
    EngineSite,
    Message,
    Owner,
    QueueProfile,
)
from failsoft.engines.celery.publisher import Publisher
from failsoft.engines.celery.rabbitmq.publisher import RabbitmqPublisher
from failsoft.engines.celery.redis.publisher import RedisPublisher
from failsoft.engines.celery.settings import CelerySettings
from failsoft.queue import shared_client
from failsoft.queue.client import COMMAND_TIMEOUT


def make_publisher(
    settings: CelerySettings, purpose: str, within: timedelta = COMMAND_TIMEOUT
) -> Publisher:
    """Return what publishes to the broker of a URL.

    Args:
        settings: The URL.
        purpose: Of the connections to Redis, which those of other purposes do not use.
        within: How long an answer of Redis may take; RabbitMQ's have a deadline each.
    """
    if settings.is_rabbitmq:
        return RabbitmqPublisher(settings)
    return RedisPublisher(shared_client(settings.broker_url, purpose, within))


class CeleryEngine:
    """`EngineAdapter` of Celery."""

    def __init__(
        self,
        site: EngineSite[CelerySettings],
        purpose: str = "celery",
        within: timedelta = COMMAND_TIMEOUT,
    ) -> None:
        self.name: str = site.name
        self._site = site
        self._publisher = make_publisher(site.settings, purpose, within)

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Publish one task."""
        (error,) = self.offer_many([message], queue, deadline)
        if error is not None:
            raise error

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Publish tasks, and wait once for the answers."""
        return self._publisher.publish(messages, self._site.queue_name(queue), deadline)

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Write what an offer writes, and count what waits."""
        return self._publisher.probe(self._site.queue_name(queue), deadline)

    def owner(self, ledger_id: str, deadline: Deadline, claiming: Claiming) -> Owner:
        """Return whose the namespace is on this broker."""
        return self._publisher.owner(self._site.namespace, ledger_id, deadline, claiming)

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Leave the task: no broker of Celery's finds a single one."""

    def keep_alive(self) -> None:
        """Keep the idle connection of this thread alive."""
        self._publisher.keep_alive()

    def disconnect(self) -> None:
        """Close the connection of this thread."""
        self._publisher.disconnect()
