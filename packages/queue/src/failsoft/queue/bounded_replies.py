"""Redis connections that read no reply of more than a bound, and wait for none beyond a deadline.

Code that can write to a Redis can plant a value of 512 MB, or a hash of a million fields. redis-py
takes three times that much memory to read it. A connection made by this module sees the length
that a reply announces, refuses it, and is closed, before more than a few kilobytes were read.

redis-py's timeouts bound each wait for a byte, so that a reply which trickles in has no bound at
all. `exchange` bounds a request and its replies as a whole.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any

from redis import ConnectionPool
from redis._parsers import _HiredisParser, _RESP2Parser, _RESP3Parser
from redis._parsers.socket import SocketBuffer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from failsoft.engine_api import Deadline

#: No reply is longer, in bytes, with all its elements. The longest that is read on purpose is the
#: list of a registry of RQ's.
MAX_REPLY_BYTES = 2 * 1024 * 1024
_LONE_NUMBER = re.compile(rb":([0-9]{1,19})\r\n")
#: How many requests are sent together. Their replies, which are read last, are a few bytes each.
_AT_ONCE = 50


class ReplyTooLargeError(RedisConnectionError):
    """A reply was not read, because it is longer than anything of ours; the connection is closed.

    One of redis-py's errors of a lost connection: everything that meets one connects again.
    """

    def __init__(self) -> None:
        super().__init__(f"expected a reply of at most {MAX_REPLY_BYTES} bytes, got a longer one")


class _TimedSocket:
    """The socket that a buffer reads from; each read ends by the deadline, if there is one."""

    __slots__ = ("_socket", "deadline", "settimeout")

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.settimeout = socket.settimeout
        self.deadline: Deadline | None = None

    def recv(self, size: int) -> bytes:
        if self.deadline is not None:
            self.settimeout(_left(self.deadline))
        read: bytes = self._socket.recv(size)
        return read


def _left(deadline: Deadline) -> float:
    # A socket that may wait for nothing is one that never waits, which is something else.
    left = deadline.remaining()
    if left <= 0:
        raise TimeoutError("the time was up")
    return left


class _BoundedBuffer(SocketBuffer):
    """A buffer that counts what belongs to one reply, from one purge to the next."""

    _counted = 0

    def read(self, length: int, *args: Any, **kwargs: Any) -> bytes:
        self._count(length)
        return super().read(length, *args, **kwargs)

    def readline(self, *args: Any, **kwargs: Any) -> bytes:
        line = super().readline(*args, **kwargs)
        self._count(len(line))
        return line

    def purge(self) -> None:
        self._counted = 0
        super().purge()

    def lone_number(self) -> int | None:
        """Read what has arrived; return it if it is one integer as a reply, and nothing else.

        Anything else is left for the parser, which takes four times as long for a number.
        """
        if self.unread_bytes():
            return None
        # As a parser reads them; both are None only after the connection was closed.
        socket: Any = self._sock
        buffer: Any = self._buffer
        data = socket.recv(self.socket_read_size)
        if (number := _LONE_NUMBER.fullmatch(data)) is not None:
            return int(number[1])
        place = buffer.tell()
        buffer.write(data)
        buffer.seek(place)
        return None

    def _count(self, length: int) -> None:
        self._counted += length
        if self._counted > MAX_REPLY_BYTES:
            raise ReplyTooLargeError


class _Bounded:
    """A parser whose buffer is bounded; mixed into a parser of redis-py's."""

    socket_read_size: int
    _sock: Any
    _buffer: Any

    def lone_number(self) -> int | None:
        """Read a reply that is one integer; None if another one has to be read."""
        number: int | None = self._buffer.lone_number()
        return number

    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[misc]  # of the parser beside this class
        timeout = connection.socket_timeout
        connection.timed = _TimedSocket(self._sock)
        socket: Any = connection.timed
        self._buffer = _BoundedBuffer(socket, self.socket_read_size, timeout)


class _BoundedConnection:
    """A connection whose replies are bounded; mixed into a connection of redis-py's.

    Attributes:
        timed: What its replies are read from.
    """

    timed: _TimedSocket
    _parser: Any
    _sock: Any
    socket_timeout: float | None

    def set_parser(self, parser_class: Any) -> None:
        """Take a bounded parser of the protocol that the connection speaks."""
        if parser_class is _HiredisParser:
            # It reads as much as comes; ours are small replies, which it would not read faster.
            is_resp3 = int(self.protocol) > 2  # type: ignore[attr-defined]  # noqa: PLR2004 - RESP's versions
            parser_class = _RESP3Parser if is_resp3 else _RESP2Parser
        super().set_parser(_bounded_parser(parser_class))  # type: ignore[misc]  # of the class beside this

    def exchange(self, requests: Iterable[bytes], deadline: Deadline) -> list[Any]:
        """Send packed requests and return their replies, an error of the server's as what it is.

        Some are on their way while the next are made.

        Raises:
            TimeoutError: The time was up before anything was sent.
            RedisError: The connection broke, or the time was up since; it is closed.
        """
        left, timed = _left(deadline), self.timed
        timed.deadline = deadline
        timed.settimeout(left)
        try:
            sent, rest = 0, iter(requests)
            while some := list(islice(rest, _AT_ONCE)):
                self.send_packed_command([b"".join(some)])  # type: ignore[attr-defined]  # likewise
                sent += len(some)
            number = self._parser.lone_number() if sent == 1 else None
            replies = [self._reply() for _ in range(sent)] if number is None else [number]
        except BaseException:
            # An interrupt, too, leaves replies behind that are no answer to the next request.
            self.disconnect()  # type: ignore[attr-defined]  # likewise
            raise
        timed.deadline = None
        timed.settimeout(self.socket_timeout)
        return replies

    def _reply(self) -> Any:
        try:
            return self.read_response(disconnect_on_error=True)  # type: ignore[attr-defined]  # likewise
        except ResponseError as error:
            return error


def bound(pool: ConnectionPool) -> None:
    """Let every connection that a pool makes from now on be bounded."""
    pool.connection_class = _bounded_connection(pool.connection_class)


@cache
def _bounded_connection(kind: Any) -> Any:
    if issubclass(kind, _BoundedConnection):
        return kind
    return type(f"Bounded{kind.__name__}", (_BoundedConnection, kind), {})


@cache
def _bounded_parser(kind: Any) -> Any:
    return (
        kind
        if issubclass(kind, _Bounded)
        else type(f"Bounded{kind.__name__}", (_Bounded, kind), {})
    )
