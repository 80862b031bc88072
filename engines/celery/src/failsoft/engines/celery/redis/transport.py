"""Kombu's Redis transport for the half that works, made safe.

Its connections are our own: with timeouts, without retries, and with replies of a bounded size.
What is popped is read before Kombu reads it, for one element that is no task ends a worker of
Celery's (CE-03).
"""

import json
from collections.abc import Callable
from queue import Empty
from typing import Any, Literal, Protocol

from kombu.transport import redis as kombu_redis
from redis import ConnectionPool, Redis

from failsoft.engine_api import Message, MessageRejectedError
from failsoft.engines.celery.messages import TOO_LARGE, read_redis, redis_text
from failsoft.queue import shared_client
from failsoft.queue.bounded_replies import ReplyTooLargeError

#: Of the clients of a worker.
PURPOSE = "celery-worker"
#: How long a message may be unacknowledged until any worker may put it back, in seconds. It is
#: acknowledged at the claim, so this is the time of a worker that died with it.
VISIBILITY_SECONDS = 300
#: How much longer than it was to wait a read may be silent, in seconds.
SILENT_SECONDS = 2


class _HasReject(Protocol):
    """What counts strangers."""

    def __call__(self, error: MessageRejectedError) -> None:
        """Count one."""
        ...


class BoundedChannel(kombu_redis.Channel):
    """A channel that lets in our own messages, and each as if we had just sent it.

    Attributes:
        url: The server, instead of the one that Kombu has read of a URL.
        reject: What is called with each element that was dropped.
    """

    url: str
    reject: _HasReject
    from_transport_options = (*kombu_redis.Channel.from_transport_options, "url", "reject")

    def _create_client(self, asynchronous: bool = False) -> Redis:
        if asynchronous:
            # The one that waits for messages.
            client: Redis = super()._create_client(asynchronous)
            return client
        return shared_client(self.url, PURPOSE)

    def _get_pool(self, asynchronous: bool = False) -> ConnectionPool:
        pool = shared_client(self.url, PURPOSE).connection_pool
        kind = _noticed(pool.connection_class, self)
        return ConnectionPool(connection_class=kind, **pool.connection_kwargs)

    def _brpop_read(self, **options: Any) -> Literal[True]:
        connection = self.client.connection
        try:
            found = self.client.parse_response(connection, "BRPOP", **options)
        except ReplyTooLargeError:
            # It is gone from the list, and its connection is closed.
            self.reject(MessageRejectedError(TOO_LARGE))
            raise
        except self.connection_errors:
            connection.disconnect()
            raise
        finally:
            self._in_poll = None
        if not found:
            raise Empty
        key, text = found
        queue = key.decode()
        try:
            message = read_redis(text)
        except MessageRejectedError as error:
            self.reject(error)
            return True
        self.connection._deliver(_raw(message, queue), queue)  # noqa: SLF001 - as the method that this one replaces
        return True


class RedisTransport(kombu_redis.Transport):
    """A transport of such channels."""

    Channel = BoundedChannel


def options(
    url: str, queue: str, reject: Callable[[MessageRejectedError], None]
) -> dict[str, object]:
    """Return the transport's options for a worker of one queue."""
    return {
        "url": url,
        "reject": reject,
        "visibility_timeout": VISIBILITY_SECONDS,
        "health_check_interval": SILENT_SECONDS,
        # Under the queue's own name: by default all programs on a server share three keys (CE-09).
        "unacked_key": f"{queue}.unacked",
        "unacked_index_key": f"{queue}.unacked-index",
        "unacked_mutex_key": f"{queue}.unacked-mutex",
        # One list; priorities are the ledger's.
        "priority_steps": [0],
    }


def _raw(message: Message, queue: str) -> Any:
    return json.loads(redis_text(message, queue))


def _noticed(kind: Any, channel: BoundedChannel) -> Any:
    """Return a kind of connection that takes itself out of the channel's poller."""

    def disconnect(self: Any, *args: Any, **kwargs: Any) -> None:
        kind.disconnect(self, *args, **kwargs)
        if channel._registered:  # noqa: SLF001 - as the class that this one replaces
            channel._on_connection_disconnect(self)  # noqa: SLF001

    return type(f"Noticed{kind.__name__}", (kind,), {"disconnect": disconnect})
