"""RQ on Redis: the primary engine."""

import contextlib
from collections.abc import Iterator, Sequence

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
from failsoft.queue import SafeJob, new_job, rq_id, rq_queue
from failsoft.queue.redis_errors import PROBE_ID, PROBE_LIST, probe_redis, redis_errors, refusal
from failsoft.queue.redis_owner import redis_owner
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.scripts import UNIQUE_ENQUEUE_SCRIPT, save_unique_job

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
        self._queues: dict[str, Queue] = {}

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Enqueue the message; the same offer made twice stands in the queue once (RS-01)."""
        target = self._queue(queue)
        job = new_job(self._id(message), message.to_wire(), target)
        with redis_errors(self._client), contextlib.suppress(DuplicateJobError):
            # What `Queue.enqueue_job(job, unique=True)` does, without its second round trip; the
            # worker notes the queue's name in RQ's set of queues.
            save_unique_job(self._client, target.key, job)

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Enqueue messages in one pipeline: a round trip for all of them."""
        target = self._queue(queue)
        enqueue = self._client.register_script(UNIQUE_ENQUEUE_SCRIPT)
        with redis_errors(self._client), self._client.pipeline(transaction=False) as pipeline:
            for message in messages:
                job = new_job(self._id(message), message.to_wire(), target)
                keys, no_ttl = [job.key, target.key], -1
                enqueue(keys, [job.id, "R", no_ttl, *_fields(job)], client=pipeline)
            replies = pipeline.execute(raise_on_error=False)
        # 0 means that this very offer is in the queue already (RS-01).
        return [refusal(reply) for reply in replies]

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
        if profile.name not in self._queues:
            self._queues[profile.name] = rq_queue(profile, self._client, self._namespace)
        return self._queues[profile.name]


def _former_id(message: Message) -> str:
    """Return the id that programs before decision 0029 gave to an offer, in any namespace.

    It may be another program's, so it is looked for in this program's queue and never removed.
    """
    return f"{message.job_id}-{message.epoch}"


def _fields(job: SafeJob) -> list[str | bytes]:
    fields = ((name, value) for name, value in job.to_dict().items() if value is not None)
    return [each for name, value in fields for each in (name, _sent(value))]


def _sent(value: object) -> str | bytes:
    # RQ's status is a text whose `str` is another: no worker understands "JobStatus.QUEUED".
    return value if isinstance(value, bytes | str) else str(value)
