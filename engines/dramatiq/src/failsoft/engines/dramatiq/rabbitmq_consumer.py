"""Dramatiq's consumer of RabbitMQ, made safe: it acknowledges no other message (DQ-02)."""

import threading
from contextlib import suppress
from typing import Any

from pika import frame
from pika.channel import ContentFrameAssembler
from pika.exceptions import AMQPChannelError, AMQPConnectionError

from dramatiq.brokers.rabbitmq import _RabbitmqConsumer, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed
from failsoft.engine_api import reached
from failsoft.engines.dramatiq.amqp_errors import QUEUE_MISSING
from failsoft.engines.dramatiq.closing import close_in_time
from failsoft.engines.dramatiq.messages import MAX_ENVELOPE_BYTES, Envelope

# pika has no types, and no public way to bound a body.
_Assembler: Any = ContentFrameAssembler


class _BoundedAssembler(_Assembler):  # type: ignore[misc]  # as above
    """Counts the frames of a body, and keeps only the first of one that is longer than ours.

    RabbitMQ delivers bodies of up to 512 MB in frames of 128 KB, which pika would keep until the
    last one. What is delivered of such a body is refused for its length.
    """

    def _handle_body_frame(self, body_frame: frame.Body) -> Any:
        kept = sum(map(len, self._body_fragments))
        result = super()._handle_body_frame(body_frame)
        if kept > MAX_ENVELOPE_BYTES and self._body_fragments:
            self._body_fragments.pop()
        return result


class _BoundMessage(_RabbitmqMessage):
    """A delivered message with its consumer."""

    def __init__(
        self, consumer: "SafeRabbitmqConsumer", redelivered: bool, tag: int, envelope: Envelope
    ) -> None:
        super().__init__(redelivered, tag, envelope)
        self.consumer = consumer


class SafeRabbitmqConsumer(_RabbitmqConsumer):
    """A consumer whose messages are acknowledged on the channel they came from, or not at all.

    After a reconnect delivery tags begin again at 1, and Dramatiq would acknowledge a new
    message with the tag of an old one (DQ-02). What is not acknowledged is delivered again,
    and its claim refused.
    """

    known_tags: set[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.Lock()
        self._ready = set[int]()
        self._is_due = False
        try:
            super().__init__(*args, **kwargs)
        except Exception:
            # RabbitMQ closed the channel, or nothing was connected.
            self._close_connection()
            raise
        channel: Any = self.channel
        channel._impl._content_assembler = _BoundedAssembler()  # noqa: SLF001 - pika has no other way

    def __next__(self) -> _BoundMessage | None:
        """Return the next message of ours; drop and acknowledge any other."""
        try:
            method, _, body = next(self.iterator)
        except (AssertionError, AMQPConnectionError, AMQPChannelError) as error:
            if getattr(error, "reply_code", None) == QUEUE_MISSING:
                self.broker.queues_pending.add(self.queue_name)
            self.broker.inbox.link.lost(error)
            raise ConnectionClosed(error) from None
        self.broker.inbox.link.answered()
        if method is None:
            return None
        envelope = self.broker.inbox.read(body, self.queue_name)
        if envelope is None:
            self.channel.basic_ack(method.delivery_tag)
            return None
        message = _BoundMessage(self, method.redelivered, method.delivery_tag, envelope)
        with self._lock:
            self.known_tags.add(method.delivery_tag)
        return message

    def ack(self, message: Any) -> None:
        """Acknowledge a message of this very consumer."""
        reached("ack.before")
        if message.consumer is self:
            self._acknowledge(message._tag)  # noqa: SLF001 - Dramatiq's own name of it
        reached("ack.after")

    def nack(self, message: Any) -> None:
        """Acknowledge a message whose actor raised: the ledger has its outcome, no dead letter."""
        self.ack(message)

    def _acknowledge(self, tag: int) -> None:
        """Let the thread of the connection acknowledge it, with those of other threads at once."""
        with self._lock:
            self._ready.add(tag)
            is_due, self._is_due = self._is_due, True
        if is_due:
            return
        try:
            self.connection.add_callback_threadsafe(self._acknowledge_ready)
        except (AMQPConnectionError, AMQPChannelError) as error:
            raise ConnectionClosed(error) from None

    def _acknowledge_ready(self) -> None:
        with self._lock:
            ready, self._ready, self._is_due = self._ready & self.known_tags, set(), False
            self.known_tags -= ready
            first_open = min(self.known_tags, default=None)
        # Every message before the first that is still processed, in one frame; no other of those.
        before = {tag for tag in ready if first_open is None or tag < first_open}
        if before:
            self.channel.basic_ack(max(before), multiple=True)
        for tag in sorted(ready - before):
            self.channel.basic_ack(tag)

    def close(self) -> None:
        """Close the channel and the connection, as far as the broker answers in time."""
        close_in_time(self._close)

    def _close(self) -> None:
        try:
            super().close()
        finally:
            # Dramatiq leaves the connection of a channel open that RabbitMQ has closed (DQ-19).
            self._close_connection()

    def _close_connection(self) -> None:
        connection = getattr(self, "connection", None)
        if connection is not None and connection.is_open:
            with suppress(Exception):  # it is lost, in whatever way
                connection.close()
