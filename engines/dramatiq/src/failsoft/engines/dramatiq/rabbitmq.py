"""Dramatiq's RabbitMQ broker, made safe.

One publish with its confirm, and bounded waits (MQ-01, MQ-02, MQ-03).
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pika
from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError

from dramatiq.broker import Consumer
from dramatiq.brokers.rabbitmq import DEAD_MESSAGE_TTL, RabbitmqBroker, _RabbitmqConsumer
from dramatiq.common import xq_name
from failsoft.engine_api import (
    Claiming,
    ConfigurationError,
    Deadline,
    EngineError,
    EngineHealth,
    EngineUnavailableError,
    Message,
    OfferRefusedError,
    OfferUncertainError,
    Owner,
    redacted_url,
)
from failsoft.engines.dramatiq.amqp_errors import (
    NO_RIGHT,
    OTHER_ARGUMENTS,
    QUEUE_MISSING,
    amqp_errors,
    translated,
)
from failsoft.engines.dramatiq.closing import close_in_time
from failsoft.engines.dramatiq.link_at_hand import Link, LinkAtHand
from failsoft.engines.dramatiq.messages import Envelope, EnvelopeTemplate, Inbox, encode
from failsoft.engines.dramatiq.rabbitmq_consumer import SafeRabbitmqConsumer
from failsoft.engines.dramatiq.rabbitmq_owner import rabbitmq_owner
from failsoft.engines.dramatiq.rabbitmq_publisher import ConfirmedPublisher
from failsoft.engines.dramatiq.settings import QueueType

#: Bounds on every wait inside pika, in seconds; by default some are for ever (MQ-01, MQ-03).
HEARTBEAT = 10
SOCKET_TIMEOUT = 2
BLOCKED_TIMEOUT = 3
_BOUNDS = {
    "heartbeat": HEARTBEAT,
    "socket_timeout": SOCKET_TIMEOUT,
    "stack_timeout": SOCKET_TIMEOUT,
    "blocked_connection_timeout": BLOCKED_TIMEOUT,
    "connection_attempts": 1,
}

#: The argument that says of which type a queue is.
_TYPE = "x-queue-type"


class SafeRabbitmqBroker(RabbitmqBroker):
    """The broker of both sides; the worker side drops what is no message of ours."""

    #: How long an idle consumer waits at a time, in milliseconds: how late it sees that it is to
    #: stop. Messages and acknowledgements wake it.
    idle_ms = 500

    def __init__(
        self, url: str, inbox: Inbox | None = None, queue_type: QueueType = "classic"
    ) -> None:
        """Connect lazily, one connection a thread.

        Args:
            url: An AMQP URL; several separated by `;` are tried in turn. What its query says, as
                `heartbeat`, is obeyed.
            inbox: Where the worker side reads messages; a dispatcher needs none.
            queue_type: Of the queues that are declared.

        Raises:
            ConfigurationError: If the URL cannot be read.
        """
        try:
            super().__init__(url=url, confirm_delivery=True, middleware=[])
        except (ValueError, TypeError, SyntaxError):
            raise ConfigurationError(
                "expected an AMQP URL like amqp://user@host:5672/vhost, got "
                f"{redacted_url(url)}, which cannot be read; percent-encode what is not a letter "
                "or a digit in its password"
            ) from None
        self.inbox = inbox
        self._at_hand = LinkAtHand()
        self._templates: dict[str, EnvelopeTemplate] = {}
        self._type = {_TYPE: "quorum"} if queue_type == "quorum" else {}
        # Every failure is translated and raised; pika would log it besides.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        found: Any = self.parameters
        for each, its_url in zip(
            found if isinstance(found, list) else [found], url.split(";"), strict=True
        ):
            said = parse_qs(urlsplit(its_url).query)
            for name in _BOUNDS.keys() - said.keys():
                setattr(each, name, _BOUNDS[name])

    @property
    def consumer_class(self) -> type[_RabbitmqConsumer]:
        """Return the consumer that acknowledges on its own channel only."""
        return SafeRabbitmqConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Connect and begin to consume a queue; note for the inbox if RabbitMQ is away."""
        try:
            return super().consume(queue_name, prefetch, timeout)
        except Exception as error:
            if self.inbox is not None:
                self.inbox.link.lost(error)
            raise
        finally:
            # It declared the queue; the consumer has a connection of its own, and this thread
            # answers no heartbeats of another (DQ-19).
            self._close_connection_in_time()

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a queue without a delay queue: time lives in the ledger (DQ-06)."""
        if queue_name not in self.queues:
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def _declare_dq_queue(self, queue_name: str) -> None:
        """Declare no delay queue."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return {**super()._build_queue_arguments(queue_name), **self._type}

    def _declare_queue(self, queue_name: str) -> Any:
        """Declare the queue, or take the one that an administrator has declared in another way.

        Raises:
            ConfigurationError: It is a stream, or not of the type that it would be declared with.
        """
        return self._declare_or_take(queue_name, super()._declare_queue, self._expect_type)

    def _declare_xq_queue(self, queue_name: str) -> Any:
        """Declare the queue of dead letters, or take the one that is there."""
        try:
            return self._declare_or_take(xq_name(queue_name), self._declare_dead_letters)
        except ChannelClosedByBroker as error:
            if error.reply_code != NO_RIGHT:
                raise
            # This user may declare none, and an administrator has left it out: nothing is
            # dead-lettered on purpose.
            del self.channel
            return None

    def _declare_dead_letters(self, name: str) -> Any:
        # Of the same type: a classic queue is on one node, and missing whenever that is down.
        arguments = {"x-message-ttl": DEAD_MESSAGE_TTL, **self._type}
        return self.channel.queue_declare(queue=name, durable=True, arguments=arguments)

    def _expect_type(self, name: str, said: str) -> None:
        """Refuse a queue that would be a quorum queue and is none, as far as RabbitMQ says so."""
        if not self._type:
            return
        if _TYPE not in said:
            # Of several arguments that differ it names one. With the type alone it names that one,
            # unless the queue has others.
            try:
                self.channel.queue_declare(name, durable=True, arguments=self._type)
            except ChannelClosedByBroker as error:
                said = error.reply_text
            del self.channel
        if _TYPE in said:
            raise ConfigurationError(
                f"expected {name} to be a quorum queue, as queue_type of the engine says, got a "
                "classic one; RabbitMQ changes the type of no queue: let the workers empty it, "
                f"then delete it (rabbitmqctl delete_queue {name} --if-empty), or choose another "
                "FAILSOFT_NAMESPACE, or leave queue_type at classic"
            )

    def _declare_or_take(
        self,
        name: str,
        declare: Callable[[str], Any],
        check: Callable[[str, str], None] = lambda name, said: None,
    ) -> Any:
        try:
            return declare(name)
        except ChannelClosedByBroker as error:
            if error.reply_code not in (OTHER_ARGUMENTS, NO_RIGHT):
                raise
            if "'stream'" in error.reply_text:
                raise ConfigurationError(
                    f"expected a classic or quorum queue {name}, got a stream, which keeps what is "
                    "acknowledged; delete it, or choose another FAILSOFT_NAMESPACE"
                ) from error
            # The error has closed the channel.
            del self.channel
            check(name, error.reply_text)
            try:
                return self.channel.queue_declare(name, passive=True)
            except ChannelClosedByBroker as missing:
                # The queue is not there and may not be declared: the first error is the reason.
                raise error from missing

    def differences(self, queue_name: str) -> str | None:
        """Return RabbitMQ's text about a queue that is not as it would be declared; "" for others.

        None where this user may declare none, and the two cannot be compared.

        Raises:
            EngineError: If RabbitMQ gives no answer.
        """
        with amqp_errors(self):
            try:
                super()._declare_queue(queue_name)
            except ChannelClosedByBroker as error:
                del self.channel
                if error.reply_code == OTHER_ARGUMENTS:
                    return str(error.reply_text)
                if error.reply_code == NO_RIGHT:
                    return None
                raise
        return ""

    def check(self, queue_name: str) -> None:
        """Refuse a queue that cannot be served, if RabbitMQ answers.

        Raises:
            ConfigurationError: If it is a stream, or of another type than it would be declared
                with.
        """
        with suppress(EngineError), amqp_errors(self):
            self.declare_queue(queue_name, ensure=True)
        self.forget_connection()

    def offer(self, message: Message, queue_name: str, deadline: Deadline) -> None:
        """Publish once and wait for the confirm; Dramatiq would publish up to six times (MQ-02).

        To connect and to declare may take longer than the deadline.

        Raises:
            EngineError: Named by what is known of the message.
        """
        self._take_link()
        # A connection that RabbitMQ has closed meanwhile is found here, before anything is sent.
        self._process_events()
        with amqp_errors(self):
            self.declare_queue(queue_name, ensure=True)
            try:
                self._publish(message, queue_name, deadline)
            except UnroutableError:
                # It came back, so it is in no queue: the queue was deleted.
                self.queues_pending.add(queue_name)
                self.declare_queue(queue_name, ensure=True)
                self._publish(message, queue_name, deadline)
        self._leave_link()

    def offer_at_once(self, message: Message, queue_name: str, deadline: Deadline) -> bool:
        """Publish on the link at hand and wait for the confirm, in any thread, by the deadline.

        False where there is no link, or the queue is still to be declared.

        Raises:
            EngineError: Named by what is known of the message.
        """
        if queue_name not in self.queues or queue_name in self.queues_pending:
            return False
        if deadline.passed:
            raise EngineUnavailableError("the time was up before RabbitMQ was reached")
        link = self._at_hand.take()
        if link is None:
            return False
        try:
            # What has arrived already is pika's to answer, and that may take time.
            return link.publisher.is_quiet and self._published(link, message, queue_name, deadline)
        finally:
            if link.publisher.is_broken:
                self._at_hand.lose()
                self._abandon(link)
            else:
                self._at_hand.give_back(link)

    def _published(self, link: Link, message: Message, queue_name: str, deadline: Deadline) -> bool:
        """Publish on a link; return False if there is no such queue.

        Raises:
            EngineError: Named by what is known of the message.
        """
        try:
            link.publisher.publish(queue_name, self._body(message, queue_name), deadline)
        except UnroutableError:
            # It came back, so it is in no queue: the queue was deleted.
            self.queues_pending.add(queue_name)
            return False
        except Exception as error:
            raise translated(error) from error
        return True

    def enqueue_many(self, messages: Sequence[Envelope]) -> Sequence[EngineError | None]:
        """Publish messages in one transaction of RabbitMQ's: all are taken, or none is.

        Waiting for each confirm would take a round trip a message.

        Raises:
            EngineError: Named by what is known of all of them.
        """
        with amqp_errors(self):
            for name in {message.queue_name for message in messages}:
                self.declare_queue(name, ensure=True)
            channel = self.connection.channel()
            returned: list[object] = []
            channel.add_on_return_callback(lambda *it: returned.append(it))
            channel.tx_select()
            for message in messages:
                _publish(channel, message.queue_name, encode(message))
            channel.tx_commit()
            self.connection.process_data_events(0)
            channel.close()
        if returned:
            raise OfferUncertainError(f"RabbitMQ returned {len(returned)} messages")
        return [None] * len(messages)

    def probe(self, queue_name: str) -> EngineHealth:
        """Publish with a confirm and count what waits: connecting would prove nothing.

        To a name that no queue has: what RabbitMQ returns it has confirmed, whatever the length,
        policy or arguments of queues. It takes the rights that offers to the queue take.
        """
        try:
            with amqp_errors(self):
                found = self._looked_at(queue_name)
                self._publish_nowhere(queue_name)
        except (OfferRefusedError, ConfigurationError) as error:
            return EngineHealth(healthy=False, detail=str(error), is_refused=True)
        except EngineError as error:
            return EngineHealth(healthy=False, detail=str(error))
        backlog: int = found.method.message_count
        return EngineHealth(healthy=True, detail="published with a confirm", backlog=backlog)

    def _looked_at(self, queue_name: str) -> Any:
        self.declare_queue(queue_name, ensure=True)
        try:
            return self.channel.queue_declare(queue_name, passive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code != QUEUE_MISSING:
                raise
            # Deleted meanwhile: offers declare it again, too.
            del self.channel
            self.queues_pending.add(queue_name)
            self.declare_queue(queue_name, ensure=True)
            return self.channel.queue_declare(queue_name, passive=True)

    def _publish_nowhere(self, queue_name: str) -> None:
        # Our queues have no dots in their names, and the number is another each time.
        with suppress(UnroutableError, NackError):
            _publish(self.channel, f"{queue_name}.probe.{secrets.token_hex(8)}", b"probe")

    def waiting(self, queue_name: str) -> None:
        """Return None: RabbitMQ shows a message to consumers alone."""

    def owner(self, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
        """Return whose a namespace is on this RabbitMQ.

        Raises:
            EngineError: It did not answer.
        """
        with amqp_errors(self):
            return rabbitmq_owner(self.connection, namespace, ledger_id, claiming)

    def keep_alive(self) -> None:
        """Answer heartbeats on this thread's connection and on the link at hand (DQ-15).

        What has died is forgotten.
        """
        self._process_events()
        link = self._at_hand.take()
        if link is not None:
            try:
                link.connection.process_data_events(0)
            except Exception:  # noqa: BLE001 - likewise
                self._at_hand.lose()
                self._abandon(link)
            else:
                self._at_hand.give_back(link)

    def _process_events(self) -> None:
        """Let pika answer what has arrived on this thread's connection; forget one that died."""
        connection = getattr(self.state, "connection", None)
        if connection is not None:
            try:
                connection.process_data_events(0)
            except Exception:  # noqa: BLE001 - pika raises more than its own classes (MQ-03)
                self.forget_connection()

    def close_link(self) -> None:
        """Close this thread's connection and the link at hand; the next offer makes another."""
        self.forget_connection()
        self._take_link()
        self.forget_connection()

    def forget_connection(self) -> None:
        """Drop this thread's connection; the next call makes a new one."""
        link = self._own_link()
        if link is not None and link.publisher.is_broken:
            # RabbitMQ may be held back: pika would wait for its answer.
            self._disown()
            self._abandon(link)
            return
        with suppress(Exception):  # it is broken, in whatever way
            del self.connection

    def _close_connection_in_time(self) -> None:
        connection, channel = (
            self.state.__dict__.pop(name, None) for name in ("connection", "channel")
        )
        self.connections.discard(connection)
        self.channels.discard(channel)
        if connection is not None and connection.is_open:
            with suppress(Exception):  # it is broken, in whatever way
                close_in_time(connection.close)

    def _take_link(self) -> None:
        """Let this thread use the link at hand, if it has no connection."""
        if getattr(self.state, "connection", None) is not None:
            return
        link = self._at_hand.take()
        if link is not None:
            self._at_hand.lose()
            self.state.connection, self.state.publisher = link.connection, link.publisher
            if link.channel is not None:
                self.state.channel = link.channel

    def _leave_link(self) -> None:
        """Put this thread's connection at hand, unless there is one."""
        link = self._own_link()
        if link is not None and self._at_hand.keep(link):
            self._disown()

    def _own_link(self) -> Link | None:
        own = self.state.__dict__
        publisher = own.get("publisher")
        if publisher is None or publisher.connection is not own.get("connection"):
            return None
        return Link(publisher.connection, own.get("channel"), publisher)

    def _disown(self) -> None:
        for name in ("connection", "channel", "publisher"):
            self.state.__dict__.pop(name, None)

    def _abandon(self, link: Link) -> None:
        self.connections.discard(link.connection)
        self.channels.discard(link.channel)
        link.publisher.abandon()

    def _publish(self, message: Message, queue_name: str, deadline: Deadline) -> None:
        link = self._own_link()
        if link is None:
            self.state.publisher = ConfirmedPublisher(self.connection)
        self.state.publisher.publish(queue_name, self._body(message, queue_name), deadline)

    def _body(self, message: Message, queue_name: str) -> bytes:
        template = self._templates.get(queue_name)
        if template is None:
            template = self._templates[queue_name] = EnvelopeTemplate(queue_name)
        return template.encode(message)


def _publish(channel: Any, queue_name: str, body: bytes) -> None:
    channel.basic_publish(
        exchange="",
        routing_key=queue_name,
        body=body,
        properties=pika.BasicProperties(delivery_mode=2),
        mandatory=True,
    )
