"""What waits in a queue of plain Dramatiq, on Redis or RabbitMQ, as jobs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import pika
import pika.exceptions
from dramatiq import Message
from dramatiq.common import dq_name
from dramatiq.errors import ActorNotFound

from failsoft.adoption.draining import AnyLink, Drained, Pending, chunks, drain_from
from failsoft.adoption.redis_queue import RedisQueue, answering, connected
from failsoft.api import DispatchError, DispatchOptions, EngineUnavailableError

#: The namespace of Dramatiq's keys in Redis.
_NAMESPACE = "dramatiq"


def drain(queue: str, url: str, *, to: str | None = None, dry_run: bool = False) -> Drained:
    """Dispatch what waits in a queue of plain Dramatiq, and what is delayed there.

    The jobs go to the queues of the program's `FailsoftBroker`.

    Args:
        queue: Its name.
        url: The URL of its Redis or of its RabbitMQ.
        to: The declared queue that its jobs go to; as the broker has it where None.
        dry_run: Whether only to say what would become of it.

    Raises:
        ConfigurationError: No module of FAILSOFT_CALLABLES sets a `FailsoftBroker`.
        EngineUnavailableError: The broker did not answer; another drain goes on.
        LedgerUnavailableError: The ledger did not answer; another drain goes on.
    """
    kind = _RabbitMQSource if url.startswith("amqp") else _RedisSource
    return drain_from(kind(url, queue, to), dry_run=dry_run)


def _pending(data: bytes, to: str | None, handle: object, number: str) -> Pending:
    # Imported here: it imports the modules of the program.
    from failsoft.adoption.dramatiq.jobs import broker_in_use  # noqa: PLC0415 - see above

    broker = broker_in_use()
    try:
        message: Message[Any] = _message(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError):
        refusal = "expected a message as JSON, got another encoding; let Dramatiq's workers run it"
        return Pending(number, refusal=refusal, handle=handle)
    try:
        links: Sequence[AnyLink] = broker.links_of(message, to)
    except ActorNotFound:
        refusal = (
            f"expected a declared actor, got {message.actor_name!r}; name its module in "
            "FAILSOFT_CALLABLES"
        )
        return Pending(message.message_id, refusal=refusal, handle=handle)
    except DispatchError as error:
        return Pending(message.message_id, refusal=str(error), handle=handle)
    options, eta = DispatchOptions(), message.options.get("eta")
    if eta:
        options["run_at"] = datetime.fromtimestamp(eta / 1000, UTC)
    if eta and len(links) > 1:
        refusal = "expected a pipeline without a delay, got one; let Dramatiq's workers run it"
        return Pending(message.message_id, refusal=refusal, handle=handle)
    return Pending(message.message_id, links, options, handle=handle)


def _message(found: dict[str, Any]) -> Message[Any]:
    found["queue_name"] = found["queue_name"].removesuffix(".DQ")
    return Message(**{**found, "args": tuple(found["args"])})


class _RedisSource:
    def __init__(self, url: str, name: str, to: str | None) -> None:
        self._client = connected(url)
        self._to = to
        self._places = [
            (
                f"{_NAMESPACE}:{each}.msgs",
                RedisQueue(
                    self._client,
                    f"{_NAMESPACE}:{each}",
                    f"failsoft:adopting:dramatiq:{each}",
                    f"{_NAMESPACE}:{each}.msgs",
                ),
            )
            for each in (name, dq_name(name))
        ]

    def left(self) -> Iterable[Pending]:
        for messages, place in self._places:
            yield from self._read(messages, place, place.taken())

    def pending(self) -> Iterable[Pending]:
        for messages, place in self._places:
            yield from self._read(messages, place, place.waiting())

    def is_there(self, pending: Pending) -> bool:
        place, number = pending.handle
        return bool(place.is_waiting(number, ""))

    def take(self, pending: Sequence[Pending]) -> Sequence[bool]:
        return [
            ours
            for place, some in groupby(pending, key=_place)
            for ours in place.take([(each.handle[1], "") for each in some])
        ]

    def finish(self, done: Sequence[Pending]) -> None:
        for place, some in groupby(done, key=_place):
            place.finish([each.handle[1] for each in some])

    def give_back(self, pending: Pending) -> bool:
        place, number = pending.handle
        return bool(place.give_back(number, ""))

    def close(self) -> None:
        self._client.close()

    def _read(
        self, messages: str, place: RedisQueue, ids: Iterable[tuple[str, str]]
    ) -> Iterator[Pending]:
        for some in chunks(ids):
            with answering():
                found: Any = self._client.hmget(messages, [number for number, _ in some])
            for (number, _), data in zip(some, found, strict=True):
                yield _pending(data or b"", self._to, (place, number), number)


def _place(pending: Pending) -> RedisQueue:
    place: RedisQueue = pending.handle[0]
    return place


class _RabbitMQSource:
    """Messages that this connection has and has not acknowledged are in the queue when it ends."""

    def __init__(self, url: str, name: str, to: str | None) -> None:
        self._names = (name, dq_name(name))
        self._to = to
        with _answering():
            self._connection = pika.BlockingConnection(pika.URLParameters(url))
            self._channel = self._connection.channel()

    def left(self) -> Iterable[Pending]:
        return ()

    def pending(self) -> Iterable[Pending]:
        for name in self._names:
            yield from self._read(name)

    def is_there(self, pending: Pending) -> bool:
        return True

    def take(self, pending: Sequence[Pending]) -> Sequence[bool]:
        return [True] * len(pending)

    def finish(self, done: Sequence[Pending]) -> None:
        with _answering():
            for each in done:
                self._channel.basic_ack(each.handle)

    def give_back(self, pending: Pending) -> bool:
        """Do nothing: it is in its queue again when the connection ends."""
        return True

    def close(self) -> None:
        if self._connection.is_open:
            with _answering():
                self._connection.close()

    def _read(self, name: str) -> Iterator[Pending]:
        while True:
            with _answering():
                method, _, body = self._channel.basic_get(name)
            if method is None:
                return
            yield _pending(
                body or b"", self._to, method.delivery_tag, f"{name}#{method.delivery_tag}"
            )


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (pika.exceptions.AMQPError, OSError) as error:
        raise EngineUnavailableError(
            f"expected a RabbitMQ that answers and has the queue, got {type(error).__name__}: "
            f"{error}"
        ) from error
