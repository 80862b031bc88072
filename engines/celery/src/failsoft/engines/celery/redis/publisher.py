"""Offers on Redis: what Kombu would write, in one command and over our own client.

Kombu's client has no timeout, and redis-py's default sends a command again whose answer was lost
(CE-05).
"""

from collections.abc import Sequence

from redis import Redis

from failsoft.engine_api import Claiming, Deadline, EngineError, EngineHealth, Message, Owner
from failsoft.engines.celery.messages import redis_text
from failsoft.queue.redis_errors import PROBE_LIST, probe_redis, redis_errors
from failsoft.queue.redis_owner import redis_owner

#: The commands of an offer, taken back at once: Celery's workers take from the other end of the
#: list than RQ's.
_PROBE = PROBE_LIST.replace("RPUSH", "LPUSH").replace("-1", "1")


class RedisPublisher:
    """`Publisher` on a Redis or Valkey.

    Args:
        client: With short timeouts, and without retries.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    def publish(
        self, messages: Sequence[Message], queue: str, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Push messages in one command: all of them are taken, or none is."""
        if messages:
            with redis_errors(self._client):
                self._client.lpush(queue, *[redis_text(each, queue) for each in messages])
        return [None] * len(messages)

    def probe(self, queue: str, deadline: Deadline) -> EngineHealth:
        """Push to the list, take it back, and count what waits."""
        return probe_redis(self._client, queue, _PROBE)

    def owner(
        self, namespace: str, ledger_id: str, deadline: Deadline, claiming: Claiming
    ) -> Owner:
        """Return whose a namespace is on this Redis."""
        return redis_owner(self._client, namespace, ledger_id, claiming)

    def keep_alive(self) -> None:
        """Do nothing: an idle Redis connection stays alive."""

    def disconnect(self) -> None:
        """Do nothing: the client's pool has the connections of all threads."""
