"""One publish to RabbitMQ and its confirm, by a deadline, in whatever thread.

pika waits for a confirm as long as its connection stands, and its timeouts are the connection's.
Here the wait is the caller's: pika connects, logs in, declares and answers heartbeats; its encoder
and decoder are used, and its socket, which is non-blocking. Nothing else may use the connection
meanwhile.
"""

import select
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pika
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    NackError,
    StreamLostError,
    UnroutableError,
)
from pika.frame import Body, Header, Method, decode_frame
from pika.spec import Basic, Channel, Connection

from failsoft.engine_api import Deadline

#: How much is read at once; a confirm takes 21 bytes.
_READ_BYTES = 65536
_PERSISTENT = pika.BasicProperties(delivery_mode=2)
#: A non-blocking socket raises one of these where it would have to wait; TLS one of the latter.
_WOULD_READ = (BlockingIOError, ssl.SSLWantReadError)
_WOULD_WRITE = (BlockingIOError, ssl.SSLWantWriteError)


class ConfirmedPublisher:
    """A channel of one connection, on which each message waits for its confirm.

    Attributes:
        connection: Pika's connection.
        is_broken: Whether a publish ended without an answer. What is on the wire is then unknown,
            and the connection may only be abandoned.
    """

    def __init__(self, connection: Any) -> None:
        """Open a channel with confirms; pika waits for RabbitMQ's answers.

        Raises:
            AMQPError: RabbitMQ did not answer.
        """
        channel = connection.channel()
        channel.confirm_delivery()
        self.connection = connection
        self.is_broken = False
        self._impl = connection._impl  # noqa: SLF001 - pika shows its socket to no one
        self._socket = self._impl._transport._sock  # noqa: SLF001 - likewise
        self._channel: int = channel.channel_number
        self._sent = 0
        self._methods: dict[str, bytes] = {}
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)

    @property
    def is_quiet(self) -> bool:
        """Whether the connection stands and nothing has arrived: an end is something, too."""
        return bool(self.connection.is_open) and not self._readable.poll(0)

    def publish(self, queue_name: str, body: bytes, deadline: Deadline) -> None:
        """Publish a persistent message to a queue and return when RabbitMQ has confirmed it.

        Raises:
            UnroutableError: RabbitMQ has no such queue; the connection is as good as before.
            NackError: It could not store the message, or the queue is full; likewise.
            AMQPError: It closed the channel or the connection.
            OSError: There was no confirm by the deadline, or the connection broke.
        """
        # Until there is an answer: an interrupt, too, leaves a confirm behind that is no other's.
        self.is_broken = True
        self._sent += 1
        self._send(self._frames(queue_name, body), deadline)
        is_returned = False
        for method in self._answers(deadline):
            if isinstance(method, Basic.Return):
                # Its header and body follow, and then a confirm.
                is_returned = True
            elif isinstance(method, Basic.Ack | Basic.Nack):
                self._confirm(method, is_returned=is_returned)
                return
            else:
                _expect_open(method)

    def _confirm(self, method: Any, *, is_returned: bool) -> None:
        if method.delivery_tag != self._sent:
            raise StreamLostError("RabbitMQ has confirmed what was not published")
        self.is_broken = False
        if isinstance(method, Basic.Nack):
            raise NackError([])
        if is_returned:
            raise UnroutableError([])

    def abandon(self) -> None:
        """Close the socket and what pika keeps beside it; RabbitMQ is not waited for."""
        with suppress(Exception):  # it is broken, in whatever way
            self._socket.close()
        with suppress(Exception):
            self.connection._cleanup()  # noqa: SLF001 - closes pika's descriptors, and sends nothing

    def _frames(self, queue_name: str, body: bytes) -> bytes:
        method = self._methods.get(queue_name)
        if method is None:
            publish = Basic.Publish(exchange="", routing_key=queue_name, mandatory=True)
            method = self._methods[queue_name] = Method(self._channel, publish).marshal()
        header: bytes = Header(self._channel, len(body), _PERSISTENT).marshal()
        frame: bytes = Body(self._channel, body).marshal()
        return method + header + frame

    def _send(self, data: bytes, deadline: Deadline) -> None:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except _WOULD_WRITE:
                writable = select.poll()
                writable.register(self._socket, select.POLLOUT)
                _wait(writable, deadline, "RabbitMQ took nothing in time")

    def _answers(self, deadline: Deadline) -> Iterator[Any]:
        """Yield what RabbitMQ says; never ends but by an error."""
        arrived, held_back = b"", ""
        while True:
            arrived += self._read(deadline, held_back)
            length, frame = decode_frame(arrived)
            while frame is not None:
                arrived = arrived[length:]
                if isinstance(frame, Method):
                    if isinstance(frame.method, Connection.Blocked):
                        held_back = f": it holds publishers back, {frame.method.reason}"
                    yield frame.method
                length, frame = decode_frame(arrived)

    def _read(self, deadline: Deadline, held_back: str) -> bytes:
        _wait(self._readable, deadline, f"no confirm in time{held_back}")
        try:
            data: bytes = self._socket.recv(_READ_BYTES)
        except _WOULD_READ:
            return b""
        if not data:
            raise StreamLostError("RabbitMQ has closed the connection")
        # By this pika sees that the connection is alive.
        self._impl.bytes_received += len(data)
        return data


def _wait(poll: select.poll, deadline: Deadline, otherwise: str) -> None:
    left = deadline.remaining()
    # No look without time: what trickles in is always there.
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError(otherwise)


def _expect_open(method: Any) -> None:
    if isinstance(method, Channel.Close):
        raise ChannelClosedByBroker(method.reply_code, method.reply_text)
    if isinstance(method, Connection.Close):
        raise ConnectionClosedByBroker(method.reply_code, method.reply_text)
