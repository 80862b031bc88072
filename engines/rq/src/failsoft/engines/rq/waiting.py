"""The messages that wait in an RQ queue; they are only read."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from failsoft.engine_api import Message, MessageRejectedError, WaitingMessage
from failsoft.queue import SafeJob
from failsoft.queue.lists import newest, small_fields
from failsoft.queue.safe_job import MAX_DATA_BYTES, message_of
from rq.utils import utcparse


def waiting_messages(client: Any, key: str) -> Iterator[WaitingMessage]:
    """Read the newest messages of an RQ queue, by the key of its list.

    Raises:
        RedisError: If Redis does not answer.
    """
    for ids in newest(client, key):
        keys = [(SafeJob.key_for(each.decode(errors="replace")), b"data") for each in ids]
        for name, _ in small_fields(client, keys, MAX_DATA_BYTES):
            data, created_at = client.hmget(name, ["data", "created_at"])
            # Gone meanwhile, or a stranger's.
            with suppress(MessageRejectedError, ValueError, TypeError, AttributeError):
                message = Message.from_wire(message_of(data or b""))
                yield WaitingMessage(message, utcparse(created_at.decode()))
