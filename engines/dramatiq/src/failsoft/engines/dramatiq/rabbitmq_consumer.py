"""Dramatiq's consumer of RabbitMQ, made safe: it acknowledges the message that is meant (DQ-02)."""

from typing import Any

from pika.exceptions import AMQPChannelError, AMQPConnectionError

from dramatiq.brokers.rabbitmq import _RabbitmqConsumer, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed
from failsoft.engines.dramatiq.amqp_errors import QUEUE_MISSING
from failsoft.engines.dramatiq.amqp_frames import bounded_assembler
from failsoft.engines.dramatiq.messages import Envelope
from failsoft.job_engine.crash_points import CRASH_POINTS


class _BoundMessage(_RabbitmqMessage):
    """A delivered message that knows its consumer."""

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Consume, and keep no more of a body than may be ours."""
        super().__init__(*args, **kwargs)
        channel: Any = self.channel
        channel._impl._content_assembler = bounded_assembler()  # noqa: SLF001 - pika has no other way in

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
        self.known_tags.add(method.delivery_tag)
        return message

    def ack(self, message: Any) -> None:
        """Acknowledge a message of this very consumer."""
        if CRASH_POINTS.reached is not None:
            CRASH_POINTS.reached("ack.before")
        if message.consumer is self:
            super().ack(message)
        if CRASH_POINTS.reached is not None:
            CRASH_POINTS.reached("ack.after")

    def nack(self, message: Any) -> None:
        """Acknowledge a message whose actor raised; the ledger knows, a dead letter would not."""
        self.ack(message)
