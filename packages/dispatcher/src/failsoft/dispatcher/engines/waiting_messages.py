"""The messages that stand in the queues of an engine; they are only read.

RabbitMQ is no part of this: it shows a message to nobody but a consumer.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rq.serializers import JSONSerializer

from failsoft.engines.dramatiq.messages import MAX_ENVELOPE_BYTES, unpack
from failsoft.engines.dramatiq.redis import SafeRedisBroker
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.records.message import Message
from failsoft.queue import SafeJob
from failsoft.queue.safe_job import MAX_DATA_BYTES

#: How many of a queue are read, the newest.
MOST = 10_000

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """A message in a queue.

    Attributes:
        message: The message; its MAC was not looked at.
        made_at: When it was made, by the clock of who made it.
    """

    message: Message
    made_at: datetime


def standing_in_rq(client: Any, key: str) -> Iterator[Standing]:
    """Read the newest messages of an RQ queue, by the key of its list.

    Raises:
        RedisError: If Redis does not answer.
    """
    for ids in _newest(client, key):
        keys = [(SafeJob.key_for(each.decode(errors="replace")), b"data") for each in ids]
        for name, _ in _small(client, keys, MAX_DATA_BYTES):
            data, created_at = client.hmget(name, ["data", "created_at"])
            job = SafeJob(connection=client, serializer=JSONSerializer)
            # Gone meanwhile, or a stranger's.
            with suppress(MessageRejectedError, ValueError, TypeError, AttributeError):
                job.restore({b"data": data, b"created_at": created_at})
                job.check()
                (wire,) = job.args
                yield Standing(Message.from_wire(wire), _aware(job.created_at))


def standing_in_valkey(broker: SafeRedisBroker, queue_name: str) -> Iterator[Standing]:
    """Read the newest messages of a queue of Dramatiq's on Redis or Valkey.

    Raises:
        RedisError: If the server does not answer.
    """
    client: Any = broker.client
    key = f"{broker.namespace}:{queue_name}"
    for ids in _newest(client, key):
        bodies = f"{key}.msgs"
        for _, field in _small(client, [(bodies, each) for each in ids], MAX_ENVELOPE_BYTES):
            body = client.hget(bodies, field.decode(errors="replace"))
            with suppress(MessageRejectedError, ValueError, TypeError, KeyError, OverflowError):
                made_at = json.loads(body)["message_timestamp"] / 1000
                yield Standing(unpack(body), datetime.fromtimestamp(made_at, UTC))


def _newest(client: Any, key: str) -> Iterator[Sequence[bytes]]:
    ids: Sequence[bytes] = client.lrange(key, -MOST, -1)
    for first in range(0, len(ids), _AT_ONCE):
        yield ids[first : first + _AT_ONCE]


def _small(
    client: Any, fields: Sequence[tuple[str, bytes]], most: int
) -> Sequence[tuple[str, bytes]]:
    """Return the fields that are there and no longer than that: the size is asked for first."""
    with client.pipeline(transaction=False) as pipeline:
        for key, field in fields:
            pipeline.hstrlen(key, field.decode(errors="replace"))
        sizes = pipeline.execute()
    return [field for field, size in zip(fields, sizes, strict=True) if 0 < size <= most]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
