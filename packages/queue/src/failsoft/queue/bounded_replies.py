"""Redis connections that read no reply of more than a bound.

Code that can write to a Redis can plant a value of 512 MB, or a hash of a million fields. redis-py
takes three times that much memory to read it. A connection made by this module sees the length
that a reply announces, refuses it, and is closed, before more than a few kilobytes were read.
"""

from functools import cache
from typing import Any

from redis import ConnectionPool
from redis._parsers import _HiredisParser, _RESP2Parser, _RESP3Parser
from redis._parsers.socket import SocketBuffer
from redis.exceptions import ConnectionError as RedisConnectionError

#: No reply is longer, in bytes, with all its elements. The longest that is read on purpose is the
#: list of a registry of RQ's.
MAX_REPLY_BYTES = 2 * 1024 * 1024


class ReplyTooLargeError(RedisConnectionError):
    """A reply was not read, because it is longer than anything of ours; the connection is closed.

    One of redis-py's errors of a lost connection: everything that meets one connects again.
    """

    def __init__(self) -> None:
        super().__init__(f"expected a reply of at most {MAX_REPLY_BYTES} bytes, got a longer one")


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

    def _count(self, length: int) -> None:
        self._counted += length
        if self._counted > MAX_REPLY_BYTES:
            raise ReplyTooLargeError


class _Bounded:
    """A parser whose buffer is bounded; mixed into a parser of redis-py's."""

    socket_read_size: int
    _sock: Any
    _buffer: Any

    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[misc]  # of the parser beside this class
        timeout = connection.socket_timeout
        self._buffer = _BoundedBuffer(self._sock, self.socket_read_size, timeout)


def bound(pool: ConnectionPool) -> None:
    """Let every connection that a pool makes from now on refuse replies that are too large."""
    pool.connection_class = _bounded_connection(pool.connection_class)


@cache
def _bounded_connection(kind: Any) -> Any:
    def set_parser(self: Any, parser_class: Any) -> None:
        if parser_class is _HiredisParser:
            # It reads as much as comes; ours are small replies, which it would not read faster.
            parser_class = _RESP3Parser if int(self.protocol) > 2 else _RESP2Parser  # noqa: PLR2004 - RESP's versions
        kind.set_parser(self, _bounded_parser(parser_class))

    return type(f"Bounded{kind.__name__}", (kind,), {"set_parser": set_parser})


@cache
def _bounded_parser(kind: Any) -> Any:
    return (
        kind
        if issubclass(kind, _Bounded)
        else type(f"Bounded{kind.__name__}", (_Bounded, kind), {})
    )
