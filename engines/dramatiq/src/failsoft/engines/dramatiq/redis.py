"""Dramatiq's Redis broker, made safe: no retries of the client's own, foreign messages dropped."""

import time
from collections.abc import Iterator, Sequence
from copy import copy
from functools import partial
from typing import Any, Self
from uuid import uuid4

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import compute_backoff
from dramatiq.errors import ConnectionClosed
from failsoft.engine_api import (
    Claiming,
    Deadline,
    EngineError,
    EngineHealth,
    Message,
    Owner,
    WaitingMessage,
    reached,
)
from failsoft.engines.dramatiq.messages import MAX_ENVELOPE_BYTES, Envelope, Inbox, encode, pack
from failsoft.engines.dramatiq.waiting import waiting_messages
from failsoft.queue.cluster import refuse_cluster
from failsoft.queue.redis_errors import probe_redis, redis_errors, refusal
from failsoft.queue.redis_owner import redis_owner

#: Deletes ids and bodies that are longer than any of ours, inside Redis.
_PURGE = """
local dropped = 0
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local most = tonumber(ARGV[1])
    if #id > most or redis.call('HSTRLEN', KEYS[2], id) > most then
        redis.call('SREM', KEYS[1], id)
        redis.call('HDEL', KEYS[2], id)
        dropped = dropped + 1
    end
end
return dropped
"""
#: The first command of an offer in Dramatiq's script, taken back by that of an acknowledgement,
#: whose script has no command that could take an entry of the list back.
_PROBE = """
redis.call('HSET', KEYS[2], ARGV[1], '')
redis.pcall('HDEL', KEYS[2], ARGV[1])
local length = redis.pcall('LLEN', KEYS[1])
return type(length) == 'table' and length.err or length
"""


class SafeRedisBroker(RedisBroker):
    """The broker of both sides; the worker side drops what is no message of ours.

    Its client has short timeouts and makes no retries.
    """

    #: The longest pause of an idle consumer between two looks, in milliseconds: how late it may
    #: take what is offered meanwhile.
    idle_ms = 200

    def __init__(self, client: Redis, namespace: str, inbox: Inbox | None = None) -> None:
        super().__init__(client=client, namespace=namespace or "failsoft", middleware=[])
        self.inbox = inbox
        #: The last consumer of each queue; the next one goes on where it ended.
        self.last_consumers: dict[str, SafeRedisConsumer] = {}

    @property
    def consumer_class(self) -> type[_RedisConsumer]:
        """Return the consumer that drops foreign messages."""
        return SafeRedisConsumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue without a delay queue: time lives in the ledger (DQ-06)."""
        if queue_name not in self.queues:
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def offer(self, message: Message, queue_name: str, deadline: Deadline) -> None:
        """Store the message once.

        Raises:
            EngineError: Named by what is known of the message.
        """
        with redis_errors(self.client):
            _store(self, pack(message, queue_name))

    def offer_at_once(self, message: Message, queue_name: str, deadline: Deadline) -> bool:
        """Return False: the client's timeouts bound each wait, and not all of them together."""
        return False

    def enqueue_many(self, messages: Sequence[Envelope]) -> Sequence[EngineError | None]:
        """Store messages in one pipeline; return for each why Redis refused it.

        Raises:
            EngineError: Named by what is known of all of them.
        """
        with redis_errors(self.client), self.client.pipeline(transaction=False) as pipeline:
            broker = self._filling(pipeline)
            for message in messages:
                _store(broker, message)
            replies = pipeline.execute(raise_on_error=False)
        return [refusal(reply) for reply in replies]

    def _filling(self, pipeline: Pipeline) -> Self:
        """Return this broker as one whose commands go into a pipeline."""
        dispatch = partial(self.scripts["dispatch"], client=pipeline)
        broker = copy(self)
        broker.scripts = {**self.scripts, "dispatch": dispatch}
        return broker

    def check(self, queue_name: str) -> None:
        """Refuse a node of a Redis Cluster, if it answers.

        Raises:
            ConfigurationError: If it is one.
        """
        refuse_cluster(self.client, "AMQP_URL")

    def probe(self, queue_name: str) -> EngineHealth:
        """Write to Redis and count what waits in the queue."""
        key = f"{self.namespace}:{queue_name}"
        return probe_redis(self.client, key, _PROBE, f"{key}.msgs")

    def owner(self, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
        """Return whose a namespace is on this Redis."""
        return redis_owner(self.client, namespace, ledger_id, claiming)

    def waiting(self, queue_name: str) -> Iterator[WaitingMessage]:
        """Read the newest messages of a queue; they stay there."""
        with redis_errors(self.client):
            yield from waiting_messages(self.client, f"{self.namespace}:{queue_name}")

    def keep_alive(self) -> None:
        """Do nothing: an idle Redis connection stays alive."""

    def close_link(self) -> None:
        """Do nothing: the client's pool has the connections of all threads."""

    def forget_connection(self) -> None:
        """Do nothing: the client's pool has the connections of all threads."""


def _store(broker: RedisBroker, message: Envelope) -> None:
    message_id = str(uuid4())
    message = message.copy(options={"redis_message_id": message_id})
    broker.do_enqueue(message.queue_name, message_id, encode(message))


class SafeRedisConsumer(_RedisConsumer):
    """A consumer that drops what is no message of ours, and keeps going.

    A message is acknowledged by its id in Redis, never by the id in its text: a foreign message
    would stay in the set of unacknowledged ids otherwise.

    After a lost connection Dramatiq makes another consumer of the queue. What the former one has
    fetched is in the same set, so the new one takes the former one's state over.
    """

    def __init__(
        self, broker: SafeRedisBroker, queue_name: str, prefetch: int, timeout: int
    ) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)
        former = broker.last_consumers.get(queue_name)
        self._lost_reply: bool = former is not None and former._lost_reply  # noqa: SLF001 - its own class's
        if former is not None:
            # The same objects: what worker threads got from the former one is acknowledged here.
            self.queued_message_ids: set[Any] = former.queued_message_ids
            self.message_cache: list[Any] = former.message_cache
        broker.last_consumers[queue_name] = self

    def __next__(self) -> MessageProxy | None:
        """Return the next message of ours, or None after waiting a little."""
        try:
            if not self.message_cache:
                self._fetch()
                self.broker.inbox.link.answered()
            if not self.message_cache:
                self._idle()
                return None
            return self._open(*self.message_cache.pop(0))
        except (RedisError, OSError) as error:
            self.broker.inbox.link.lost(error)
            raise ConnectionClosed(error) from None

    def ack(self, message: Any) -> None:
        """Acknowledge a message in Redis."""
        message_id = message.options["redis_message_id"]
        reached("ack.before")
        try:
            self.broker.do_ack(self.queue_name, message_id)
            reached("ack.after")
        except (RedisError, OSError) as error:
            # It is tried again, and stays unacknowledged until then.
            raise ConnectionClosed(error) from None
        self.queued_message_ids.discard(message_id)

    def nack(self, message: Any) -> None:
        """Acknowledge a message whose actor raised: the ledger has its outcome, no dead letter."""
        self.ack(message)

    def _fetch(self) -> None:
        room = self.prefetch - self.outstanding_message_count
        if room <= 0:
            return
        if self._lost_reply:
            # A fetch took messages and its reply was lost: too large, or too late.
            self._drop_too_large()
            found = self._with_ids(None)
            self._lost_reply = False
        else:
            self._lost_reply = True
            bodies = self.broker.do_fetch(self.queue_name, room)
            found = self._with_ids(bodies) if bodies else []
            self._lost_reply = False
        if found:
            self.message_cache = found

    def _drop_too_large(self) -> None:
        """Delete what was fetched and is longer than any message of ours, without reading it."""
        purge = self.broker.client.register_script(_PURGE)
        bodies = f"{self.broker.namespace}:{self.queue_name}.msgs"
        dropped: Any = purge([self._unacknowledged, bodies], [MAX_ENVELOPE_BYTES])
        for _ in range(dropped):
            self.broker.inbox.reject_too_large()

    @property
    def _unacknowledged(self) -> str:
        """Return the key of the ids that were fetched and not acknowledged."""
        return f"{self.broker.namespace}:__acks__.{self.broker.broker_id}.{self.queue_name}"

    def _with_ids(self, bodies: list[bytes | None] | None) -> list[tuple[bytes, bytes]]:
        """Find the ids of what was fetched, in its order; an id without a body is dropped.

        Without `bodies` everything that is unacknowledged was fetched.
        """
        namespace, client = self.broker.namespace, self.broker.client
        found = []
        for message_id in client.smembers(self._unacknowledged) - self.queued_message_ids:
            body = client.hget(f"{namespace}:{self.queue_name}.msgs", message_id)
            if body is None:
                self.broker.do_ack(self.queue_name, message_id)
            elif bodies is None or body in bodies:
                found.append((message_id, body))
        return sorted(found, key=lambda each: bodies.index(each[1]) if bodies else 0)

    def _idle(self) -> None:
        self.misses, backoff_ms = compute_backoff(self.misses, max_backoff=self.timeout)
        time.sleep(backoff_ms / 1000)

    def _open(self, message_id: bytes, body: bytes) -> MessageProxy | None:
        self.misses: int = 0
        envelope = self.broker.inbox.read(body, self.queue_name)
        if envelope is None:
            self.broker.do_ack(self.queue_name, message_id)
            return None
        envelope.options["redis_message_id"] = message_id
        self.queued_message_ids.add(message_id)
        return MessageProxy(envelope)
