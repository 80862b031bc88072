"""RQ on Redis: the primary engine."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

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
)
from failsoft.engines.rq.waiting import waiting_messages
from failsoft.queue import SafeJob, rq_id, rq_queue
from failsoft.queue.enqueueing import LOAD_SCRIPT, EnqueueTemplate
from failsoft.queue.ready_connections import ReadyConnections
from failsoft.queue.redis_errors import (
    PROBE_ID,
    PROBE_LIST,
    errors_of_answers,
    errors_of_connecting,
    probe_redis,
    redis_errors,
    refusal,
)
from failsoft.queue.redis_owner import redis_owner
from rq import Queue

#: The commands of an offer, in `UNIQUE_ENQUEUE_SCRIPT`, taken back at once.
_PROBE = (
    """
redis.call('EXISTS', KEYS[2])
redis.call('HSET', KEYS[2], 'data', '')
redis.pcall('DEL', KEYS[2])
"""
    + PROBE_LIST
)
#: How far into a queue a message is looked for: further on it would block Redis.
LOOKED_THROUGH = 10_000


class RqEngine:
    """`EngineAdapter` of RQ: one RQ job per offer, under an id of its namespace.

    Its client has short timeouts and makes no retries.
    """

    def __init__(self, client: Redis, namespace: str = DEFAULT_NAMESPACE, name: str = "rq") -> None:
        self.name = name
        self._client = client
        self._namespace = namespace
        self._ready = ReadyConnections(client)
        self._templates: dict[str, EnqueueTemplate] = {}

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Enqueue the message; the same offer made twice stands in the queue once (RS-01)."""
        self._enqueue(self._connected(), message, queue, deadline)

    def offer_at_once(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool:
        """Enqueue the message on a connection that is at hand, in time; False if there is none."""
        connection = self._ready.take()
        if connection is None:
            return False
        self._enqueue(connection, message, queue, deadline)
        return True

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Enqueue messages in one round trip for all of them."""
        template, connection = self._template(queue), self._connected()
        requests = (template.request(self._id(each), each.to_wire()) for each in messages)
        with errors_of_answers():
            # Loading the script first takes no round trip of its own.
            _, *replies = self._ready.exchange(connection, (LOAD_SCRIPT, *requests), deadline)
        # 0 means that this very offer is in the queue already (RS-01).
        return [refusal(reply) for reply in replies]

    def _connected(self) -> Any:
        with errors_of_connecting():
            return self._ready.connect()

    def _enqueue(
        self, connection: Any, message: Message, queue: QueueProfile, deadline: Deadline
    ) -> None:
        """Do what `Queue.enqueue_job(job, unique=True)` does, without its second round trip.

        The worker notes the queue's name in RQ's set of queues.
        """
        request = self._template(queue).request(self._id(message), message.to_wire())
        with errors_of_answers():
            # 0 means that this very offer is in the queue already (RS-01).
            self._ready.evaluate(connection, request, LOAD_SCRIPT, deadline)

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Write to Redis and count what waits in the queue."""
        key = SafeJob.key_for(rq_id(self._namespace, PROBE_ID, 0))
        return probe_redis(self._client, self._queue(queue).key, _PROBE, key)

    def holds(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool | None:
        """Look for the message in the queue's list, up to `LOOKED_THROUGH`."""
        key, ids = self._queue(queue).key, (self._id(message), _former_id(message))
        with redis_errors(self._client), self._client.pipeline() as pipeline:
            pipeline.llen(key)
            for each in ids:
                pipeline.exists(SafeJob.key_for(each))
                pipeline.lpos(key, each, maxlen=LOOKED_THROUGH)
            length, *found = pipeline.execute()
        kept = [place for is_kept, place in zip(found[::2], found[1::2], strict=True) if is_kept]
        if kept and not any(place is not None for place in kept) and length > LOOKED_THROUGH:
            return None
        return any(place is not None for place in kept)

    def owner(self, ledger_id: str, deadline: Deadline, claiming: Claiming) -> Owner:
        """Return whose the namespace is on this Redis."""
        return redis_owner(self._client, self._namespace, ledger_id, claiming)

    def waiting(self, queue: QueueProfile) -> Iterator[WaitingMessage]:
        """Read the newest messages of a queue; they stay there."""
        with redis_errors(self._client):
            yield from waiting_messages(self._client, self._queue(queue).key)

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Take a void offer out of the queue, if Redis is there."""
        with contextlib.suppress(RedisError, OSError):
            self._client.lrem(self._queue(queue).key, 1, self._id(message))
            self._client.delete(SafeJob.key_for(self._id(message)))

    def _id(self, message: Message) -> str:
        return rq_id(self._namespace, message.job_id, message.epoch)

    def _queue(self, profile: QueueProfile) -> Queue:
        return self._template(profile).queue

    def _template(self, profile: QueueProfile) -> EnqueueTemplate:
        found = self._templates.get(profile.name)
        if found is None:
            queue = rq_queue(profile, self._client, self._namespace)
            found = self._templates[profile.name] = EnqueueTemplate(queue)
        return found


def _former_id(message: Message) -> str:
    """Return the id that programs before decision 0029 gave to an offer, in any namespace.

    It may be another program's, so it is looked for in this program's queue and never removed.
    """
    return f"{message.job_id}-{message.epoch}"
