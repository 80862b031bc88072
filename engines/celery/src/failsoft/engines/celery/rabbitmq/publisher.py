"""Offers on RabbitMQ: published once, and confirmed.

Celery publishes without confirms (CE-01) and again after an error (CE-02); so this does not go
through Celery's producer.
"""

import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from amqp import Connection
from amqp import Message as AmqpMessage
from amqp.exceptions import NotFound

from failsoft.engine_api import (
    Claiming,
    ConfigurationError,
    Deadline,
    EngineError,
    EngineHealth,
    EngineRefusedError,
    Message,
    OfferRefusedError,
    OfferUncertainError,
    Owner,
)
from failsoft.engines.celery.messages import ENCODING, JSON, body_of, headers_of, id_of
from failsoft.engines.celery.rabbitmq import queues
from failsoft.engines.celery.rabbitmq.connection import connect, drop
from failsoft.engines.celery.rabbitmq.errors import connect_error, offer_error
from failsoft.engines.celery.settings import CelerySettings

# py-amqp says of its arguments what fits in part.
_AmqpMessage: Any = AmqpMessage

#: How long connecting, and each answer, may take, in seconds.
ANSWER_SECONDS = 2.0
#: How much of an offer's time connecting may take.
CONNECT_SHARE = 0.4


class _Confirms:
    """What RabbitMQ answers to the messages of one channel.

    Attributes:
        waiting: The place of each message that has no answer, by its number.
        refused: Why RabbitMQ refused, by place.
        returned: The places of those that no queue took.
    """

    def __init__(self, channel: Any) -> None:
        self.waiting: dict[int, int] = {}
        self.refused: dict[int, EngineError] = {}
        self.returned: set[int] = set()
        channel.events["basic_ack"].add(self._acked)
        channel.events["basic_nack"].add(self._nacked)
        channel.events["basic_return"].add(self._came_back)

    def _answered(self, tag: int, multiple: bool) -> list[int]:
        tags = [each for each in self.waiting if each <= tag] if multiple else [tag]
        return [self.waiting.pop(each) for each in tags if each in self.waiting]

    def _acked(self, tag: int, multiple: bool) -> None:
        self._answered(tag, multiple)

    def _nacked(self, tag: int, multiple: bool) -> None:
        for place in self._answered(tag, multiple):
            self.refused[place] = OfferRefusedError("RabbitMQ refused: MessageNacked")

    def _came_back(self, error: Exception, exchange: str, key: str, message: AmqpMessage) -> None:
        # Before its confirm, which says no more than that it is RabbitMQ's no longer.
        self.returned.add(int(message.properties["message_id"]))


class _Link:
    """The connection of one thread, and one channel whose messages are confirmed.

    Attributes:
        declared: The queues that are known to be there.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.declared: set[str] = set()
        # Threads end without a word.
        weakref.finalize(self, drop, connection)
        self._channel: Any = connection.channel()
        self._channel.confirm_select()
        self._confirms = _Confirms(self._channel)
        self._sent = 0

    def publish(
        self, messages: Mapping[int, AmqpMessage], queue: str, ends: float
    ) -> tuple[dict[int, EngineError], set[int]]:
        """Publish messages and wait for the answer to each.

        Args:
            messages: By place, which is their `message_id`, too.
            queue: The routing key of the default exchange.
            ends: When waiting ends, by `time.monotonic`.

        Returns:
            Why RabbitMQ refused, by place; and the places of those that no queue took.
        """
        answers = self._confirms
        answers.refused, answers.returned = {}, set()
        for place, message in messages.items():
            self._sent += 1
            answers.waiting[self._sent] = place
            self._channel.basic_publish(message, "", queue, mandatory=True)
        while answers.waiting:
            self.connection.drain_events(timeout=max(0.001, ends - time.monotonic()))
        return answers.refused, answers.returned


class RabbitmqPublisher:
    """`Publisher` on RabbitMQ, one connection a thread."""

    def __init__(self, settings: CelerySettings) -> None:
        self._settings = settings
        self._state = threading.local()

    def publish(
        self, messages: Sequence[Message], queue: str, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Publish messages side by side, and wait once for the answers to all of them."""
        answers: list[EngineError | None] = [None] * len(messages)
        if not messages:
            return answers
        with self._linked(deadline) as link:
            left = {place: _packed(each, place) for place, each in enumerate(messages)}
            self._declare(link, queue)
            refused, returned = self._published(link, left, queue, deadline)
            if returned:
                # They came back, so they are in no queue: it was deleted.
                link.declared.discard(queue)
                self._declare(link, queue)
                again = {place: left[place] for place in returned}
                more, returned = self._published(link, again, queue, deadline)
                refused |= more
            if returned:
                raise OfferUncertainError(f"RabbitMQ returned {len(returned)} messages")
        for place, error in refused.items():
            answers[place] = error
        return answers

    def probe(self, queue: str, deadline: Deadline) -> EngineHealth:
        """Publish with a confirm and count what waits: connecting would prove nothing.

        To a name that no queue has: what RabbitMQ returns it has confirmed, whatever the length,
        policy or arguments of queues. It takes the rights that offers to the queue take.
        """
        try:
            with self._linked(deadline) as link:
                backlog = self._looked_at(link, queue)
                nowhere = {0: _probe()}
                self._published(link, nowhere, f"{queue}.probe.{secrets.token_hex(8)}", deadline)
        except EngineRefusedError as error:
            return EngineHealth(healthy=False, detail=str(error))
        except (OfferRefusedError, ConfigurationError) as error:
            return EngineHealth(healthy=False, detail=str(error), is_refused=True)
        except EngineError as error:
            return EngineHealth(healthy=False, detail=str(error))
        return EngineHealth(healthy=True, detail="published with a confirm", backlog=backlog)

    def owner(
        self, namespace: str, ledger_id: str, deadline: Deadline, claiming: Claiming
    ) -> Owner:
        """Return whose a namespace is on this RabbitMQ."""
        with self._linked(deadline) as link:
            return queues.owner(link.connection, namespace, ledger_id, claiming)

    def differences(self, queue: str, deadline: Deadline) -> str | None:
        """Return RabbitMQ's text about a queue that is not as it would be declared.

        Raises:
            EngineError: RabbitMQ gave no answer.
        """
        with self._linked(deadline) as link:
            return queues.differences(link.connection, queue, self._settings)

    def keep_alive(self) -> None:
        """Answer heartbeats on this thread's connection; drop it if it has died."""
        link = self._state.__dict__.get("link")
        if link is not None:
            try:
                link.connection.heartbeat_tick()
                link.connection.drain_events(timeout=0.001)
            except TimeoutError:
                pass  # nothing had come
            except Exception:  # noqa: BLE001 - py-amqp raises more than its own classes
                self.disconnect()

    def disconnect(self) -> None:
        """Drop this thread's connection; the next call makes a new one."""
        link = self._state.__dict__.pop("link", None)
        if link is not None:
            drop(link.connection)

    def _declare(self, link: _Link, queue: str) -> None:
        if queue not in link.declared:
            queues.declare(link.connection, queue, self._settings)
            link.declared.add(queue)

    def _looked_at(self, link: _Link, queue: str) -> int:
        self._declare(link, queue)
        try:
            return queues.count(link.connection, queue)
        except NotFound:
            # Deleted meanwhile: offers declare it again, too.
            link.declared.discard(queue)
            self._declare(link, queue)
            return queues.count(link.connection, queue)

    def _published(
        self, link: _Link, messages: Mapping[int, AmqpMessage], queue: str, deadline: Deadline
    ) -> tuple[dict[int, EngineError], set[int]]:
        ends = time.monotonic() + min(ANSWER_SECONDS, deadline.remaining())
        return link.publish(messages, queue, ends)

    @contextmanager
    def _linked(self, deadline: Deadline) -> Iterator[_Link]:
        """Lend this thread's connection, and translate what the exchange inside raises.

        A connection that has failed is dropped, so that the next offer to a server that is away is
        known not to have been sent.
        """
        try:
            link = self._link(deadline)
        except Exception as error:  # py-amqp raises more than its own classes
            self.disconnect()
            raise connect_error(error) from error
        try:
            yield link
        except (ConfigurationError, EngineError):
            self.disconnect()
            raise
        except Exception as error:
            self.disconnect()
            raise offer_error(error) from error

    def _link(self, deadline: Deadline) -> _Link:
        found: _Link | None = self._state.__dict__.get("link")
        if found is not None and found.connection.connected:
            return found
        self.disconnect()
        seconds = max(0.05, min(ANSWER_SECONDS, CONNECT_SHARE * deadline.remaining()))
        connection = connect(self._settings, seconds)
        try:
            self._state.link = _Link(connection)
        except BaseException:
            drop(connection)
            raise
        link: _Link = self._state.link
        return link


def _packed(message: Message, place: int) -> AmqpMessage:
    packed: AmqpMessage = _AmqpMessage(
        body_of(message),
        content_type=JSON,
        content_encoding=ENCODING,
        delivery_mode=2,
        correlation_id=id_of(message),
        message_id=str(place),
        application_headers=headers_of(message),
    )
    return packed


def _probe() -> AmqpMessage:
    packed: AmqpMessage = _AmqpMessage(b"probe", message_id="0")
    return packed
