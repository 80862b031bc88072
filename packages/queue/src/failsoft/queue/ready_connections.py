"""Connections to Redis that are kept at hand: to take one waits for nothing.

To connect may take any time: the system's resolver and a Sentinel that does not answer know no
deadline. A request on a connection that is there has one, so it needs no thread that is given up.
"""

import os
import select
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from failsoft.engine_api import Deadline
from failsoft.queue.bounded_replies import bound

#: How many are kept at hand; others go back to the client's pool.
MOST_READY = 8


class ReadyConnections:
    """The connections of one client that are at hand, each connected and idle."""

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        bound(self._pool)
        self._reset()

    def take(self) -> Any | None:
        """Return a connection that is at hand; None where there is none, or it may be broken."""
        if self._pid != os.getpid():
            # Those of the parent: it goes on using them (rule 21).
            self._reset()
        try:
            connection = self._ready.pop()
        except IndexError:
            return None
        if _is_quiet(connection):
            return connection
        # The pool looks what it has before it lends it again.
        self._pool.release(connection)
        return None

    def connect(self) -> Any:
        """Return a connection that is at hand, or one of the pool's, connected.

        Raises:
            RedisError: The server was not reached.
            OSError: Likewise.
        """
        return self.take() or self._pool.get_connection()

    def evaluate(self, connection: Any, request: bytes, load: bytes, deadline: Deadline) -> Any:
        """Return the reply to a script, which is loaded if the server does not have it.

        Args:
            connection: A connection that was taken; it is kept at hand if it is sound.
            request: The packed request, which names the script by its digest.
            load: The packed request that loads it.
            deadline: When the reply must be there.

        Raises:
            RedisError: There was no reply in time, and the connection is closed; or it refuses.
            OSError: There was no reply in time.
        """
        is_sound = False
        try:
            (reply,) = connection.exchange([request], deadline)
            if isinstance(reply, NoScriptError):
                loaded, reply = connection.exchange([load, request], deadline)
                reply = loaded if isinstance(loaded, ResponseError) else reply
            is_sound = not isinstance(reply, ResponseError)
        finally:
            self._give_back(connection, is_sound=is_sound)
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def exchange(
        self, connection: Any, requests: Iterable[bytes], deadline: Deadline
    ) -> Sequence[Any]:
        """Return the replies to packed requests, a refusal as the error that it is.

        Raises:
            RedisError: There was no reply in time; the connection is closed.
            OSError: Likewise.
        """
        is_sound = False
        try:
            replies: Sequence[Any] = connection.exchange(requests, deadline)
            is_sound = not any(isinstance(reply, ResponseError) for reply in replies)
        finally:
            self._give_back(connection, is_sound=is_sound)
        return replies

    def _give_back(self, connection: Any, *, is_sound: bool) -> None:
        if is_sound and len(self._ready) < MOST_READY:
            self._ready.append(connection)
        else:
            # What a server that refuses has become, the pool's next look finds out.
            self._pool.release(connection)

    def _reset(self) -> None:
        self._ready = deque[Any]()
        self._pid = os.getpid()


def _is_quiet(connection: Any) -> bool:
    """Return whether a connection is open and nothing has arrived: an end is something, too."""
    sock = connection._sock  # noqa: SLF001 - redis-py's own look waits, and reads
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)
