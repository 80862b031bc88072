"""The messages that wait in an RQ queue; they are only read."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from failsoft.engine_api import Message, MessageRejectedError, WaitingMessage
from failsoft.queue import SafeJob
from failsoft.queue.lists import newest, small_fields
from failsoft.queue.safe_job import MAX_DATA_BYTES
from rq.serializers import JSONSerializer


def waiting_messages(client: Any, key: str) -> Iterator[WaitingMessage]:
    """Read the newest messages of an RQ queue, by the key of its list.

    Raises:
        RedisError: If Redis does not answer.
    """
    for ids in newest(client, key):
        keys = [(SafeJob.key_for(each.decode(errors="replace")), b"data") for each in ids]
        for name, _ in small_fields(client, keys, MAX_DATA_BYTES):
            data, created_at = client.hmget(name, ["data", "created_at"])
            job = SafeJob(connection=client, serializer=JSONSerializer)
            # Gone meanwhile, or a stranger's.
            with suppress(MessageRejectedError, ValueError, TypeError, AttributeError):
                job.restore({b"data": data, b"created_at": created_at})
                job.check()
                (wire,) = job.args
                yield WaitingMessage(Message.from_wire(wire), _aware(job.created_at))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
