"""Connections to RabbitMQ by py-amqp, made safe.

Every wait has a bound, the server's certificate is checked (CE-06), a body that is longer than any
of ours is not kept in memory, and a forked child leaves its parent's connections alone.
"""

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from struct import unpack_from
from typing import Any

from amqp import Connection
from amqp.method_framing import frame_handler
from kombu.utils.url import parse_url

from failsoft.engines.celery.messages import MAX_BYTES
from failsoft.engines.celery.settings import CelerySettings

#: The pause between two heartbeats, in seconds; two that are missed end the connection.
HEARTBEAT_SECONDS = 5
#: The frames of a message: its header, which announces the length, and a part of its body.
_HEADER, _BODY = 2, 3
#: Where the length of the body stands in a header's frame, and how many bytes it takes.
_LENGTH_AT, _LENGTH_BYTES = 4, 8

# py-amqp says of its arguments what fits in part.
_Connection: Any = Connection
#: Which process made each connection.
_made_by = weakref.WeakKeyDictionary[Connection, int]()


def connect(settings: CelerySettings, seconds: float) -> Connection:
    """Connect to the first node that answers.

    Args:
        settings: The broker.
        seconds: How long a node may take to connect, and to answer each later request.

    Raises:
        Exception: No node answered; py-amqp raises more than its own classes.
    """
    *others, last = settings.nodes
    for url in others:
        with suppress(Exception):  # the next node is tried
            return _connect(settings, url, seconds)
    return _connect(settings, last, seconds)


def _connect(settings: CelerySettings, url: str, seconds: float) -> Connection:
    found = parse_url(url)
    host = found["hostname"] or "localhost"
    is_tls = url.startswith("amqps://")
    connection: Connection = _Connection(
        f"{host}:{found['port'] or (5671 if is_tls else 5672)}",
        userid=found["userid"] or "guest",
        password=found["password"] or "guest",
        login_method="PLAIN",
        virtual_host=found["virtual_host"] or "/",
        ssl=settings.tls(host) if is_tls else False,
        connect_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
        heartbeat=HEARTBEAT_SECONDS,
        frame_handler=_bounded_frames,
    )
    try:
        connection.connect()
    except BaseException:
        drop(connection)
        raise
    _made_by[connection] = os.getpid()
    return connection


def drop(connection: Connection) -> None:
    """Close a connection without a word to the server; of a parent's only the descriptor."""
    if _made_by.get(connection, os.getpid()) != os.getpid():
        _leave(connection)
    with suppress(Exception):  # it is broken, in whatever way
        connection.collect()


def _bounded_frames(connection: Connection, callback: Callable[..., object]) -> Callable[..., bool]:
    """Read frames as py-amqp does, and leave out a body that is longer than any of ours.

    RabbitMQ delivers bodies of up to 512 MB, which py-amqp would keep until the last frame. Such a
    message is delivered without a body.
    """
    on_frame = frame_handler(connection, callback)
    left_out: dict[int, int] = {}

    def bounded(frame: tuple[int, int, bytes]) -> bool:
        kind, channel, content = frame
        if kind == _HEADER:
            (length,) = unpack_from(">Q", content, _LENGTH_AT)
            if length > MAX_BYTES:
                left_out[channel] = length
                rest = bytes(content[_LENGTH_AT + _LENGTH_BYTES :])
                content = bytes(content[:_LENGTH_AT]) + bytes(_LENGTH_BYTES) + rest
        elif kind == _BODY and channel in left_out:
            connection.bytes_recv += 1  # a sign of life, as any frame
            left_out[channel] -= len(content)
            if left_out[channel] <= 0:
                del left_out[channel]
            return False
        return bool(on_frame((kind, channel, content)))

    return bounded


def _leave(connection: Connection) -> None:
    # py-amqp would shut the connection down, and so the parent's, which is the same.
    transport: Any = getattr(connection, "_transport", None)
    if transport is not None and transport.sock is not None:
        with suppress(OSError):
            transport.sock.close()
        transport.sock = None


def _leave_parents() -> None:
    for connection in list(_made_by):
        _leave(connection)


os.register_at_fork(after_in_child=_leave_parents)
