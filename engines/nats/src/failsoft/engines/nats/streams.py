"""The streams of queues: made, and counted."""

import asyncio
from contextlib import suppress

from failsoft.engine_api import OfferRefusedError
from failsoft.engines.nats.settings import NatsSettings
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

#: How long messages are kept, in seconds: an offer that is older was made again long ago.
RETENTION_SECONDS = 24 * 60 * 60
#: The one consumer of a stream, which all workers of the queue share.
CONSUMER = "failsoft"
#: The header of a message that a probe wrote: workers pass over it.
PROBE = "failsoft-probe"

#: What JetStream says where a stream of the name has another configuration.
_OTHER_CONFIGURATION = 10058


async def create(jetstream: JetStreamContext, name: str, settings: NatsSettings) -> bool:
    """Create a stream, and return whether it is as it would be made.

    Raises:
        APIError: It was not created.
    """
    config = StreamConfig(
        name=name,
        subjects=[name],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        num_replicas=settings.copies,
        max_age=RETENTION_SECONDS,
        # What is refused goes to another engine at once, and not only when it is missed.
        discard=DiscardPolicy.NEW,
    )
    try:
        await jetstream.add_stream(config)
    except APIError as error:
        if error.err_code != _OTHER_CONFIGURATION:
            raise
        return False
    return True


def missing(queue: str, name: str) -> OfferRefusedError:
    """Return the error of a stream that is not there."""
    return OfferRefusedError(f"there is no stream {queue}; run: failsoft engines prepare {name}")


async def remove(jetstream: JetStreamContext, name: str, sequence: int) -> None:
    """Take a probe's message back; the right to is none that an offer takes."""
    with suppress(NatsError, asyncio.TimeoutError):
        await jetstream.delete_msg(name, sequence)


async def count(jetstream: JetStreamContext, name: str) -> int | None:
    """Return how many messages wait; None where JetStream does not say."""
    try:
        return (await jetstream.stream_info(name)).state.messages
    except (TimeoutError, NatsError):
        return None
