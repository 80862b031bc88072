"""The messages that wait in a queue of Dramatiq's on Redis or Valkey; they are only read."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from failsoft.engine_api import MessageRejectedError, WaitingMessage
from failsoft.engines.dramatiq.messages import MAX_ENVELOPE_BYTES, unpack
from failsoft.queue.lists import newest, small_fields


def waiting_messages(client: Any, key: str) -> Iterator[WaitingMessage]:
    """Read the newest messages of a queue of Dramatiq's on Redis or Valkey.

    Raises:
        RedisError: If the server does not answer.
    """
    for ids in newest(client, key):
        bodies = f"{key}.msgs"
        for _, field in small_fields(client, [(bodies, each) for each in ids], MAX_ENVELOPE_BYTES):
            body = client.hget(bodies, field.decode(errors="replace"))
            with suppress(MessageRejectedError, ValueError, TypeError, KeyError, OverflowError):
                made_at = json.loads(body)["message_timestamp"] / 1000
                yield WaitingMessage(unpack(body), datetime.fromtimestamp(made_at, UTC))
