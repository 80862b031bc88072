"""The half that offers: a message in the stream of the queue, acknowledged by its replicas.

Without a `Nats-Msg-Id`: within its window JetStream would swallow an offer that is rightly made
again (decision 0071).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from failsoft.engine_api import (
    Deadline,
    EngineError,
    EngineHealth,
    EngineRefusedError,
    EngineSite,
    Message,
    OfferRefusedError,
    OfferUncertainError,
    QueueProfile,
    to_body,
)
from failsoft.engines.nats import streams
from failsoft.engines.nats.connection import Connection, SharedConnection
from failsoft.engines.nats.errors import offer_error
from failsoft.engines.nats.settings import NatsSettings
from nats.js.api import PubAck
from nats.js.errors import NoStreamResponseError

#: The longest that an acknowledgement may take, in seconds.
ANSWER_SECONDS = 2.0


class NatsEngine:
    """`EngineAdapter` of NATS JetStream."""

    def __init__(self, site: EngineSite[NatsSettings]) -> None:
        self.name: str = site.name
        self._site = site
        self._connection = SharedConnection(site.settings.client)
        self._made: dict[str, Connection] = {}

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Publish one message."""
        (error,) = self.offer_many([message], queue, deadline)
        if error is not None:
            raise error

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Publish messages side by side."""
        name, bodies = self._site.queue_name(queue), [to_body(each) for each in messages]

        async def publish(client: Connection) -> list[PubAck | EngineError]:
            return await self._publish(client, name, bodies, deadline=deadline)

        answers = self._connection.call(publish, deadline)
        return [each if isinstance(each, EngineError) else None for each in answers]

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Publish a message, take it back, and count what waits."""
        name = self._site.queue_name(queue)

        async def probe(client: Connection) -> int | None:
            mark = {streams.PROBE: "1"}
            (answer,) = await self._publish(client, name, [b""], deadline=deadline, headers=mark)
            if isinstance(answer, EngineError):
                raise answer
            jetstream = client.jetstream(timeout=max(0.01, deadline.remaining() / 2))
            await streams.remove(jetstream, name, answer.seq)
            return await streams.count(jetstream, name)

        try:
            backlog = self._connection.call(probe, deadline)
        except OfferRefusedError as error:
            of_queue = not isinstance(error, EngineRefusedError)
            return EngineHealth(healthy=False, detail=str(error), is_refused=of_queue)
        except EngineError as error:
            return EngineHealth(healthy=False, detail=str(error))
        return EngineHealth(healthy=True, detail="published with an ack", backlog=backlog)

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Leave the message: to find it, its number in the stream would have to be kept."""

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    async def _publish(
        self,
        client: Connection,
        name: str,
        bodies: Sequence[bytes],
        *,
        deadline: Deadline,
        headers: Mapping[str, Any] | None = None,
    ) -> list[PubAck | EngineError]:
        timeout = max(0.01, min(ANSWER_SECONDS, deadline.remaining() * 0.95))
        jetstream = client.jetstream(timeout=timeout)
        if self._site.settings.makes_streams and self._made.get(name) is not client:
            await streams.create(jetstream, name, self._site.settings)
            self._made[name] = client
        tasks = [
            asyncio.create_task(jetstream.publish(name, body, headers=dict(headers or {})))
            for body in bodies
        ]
        waiting = client.publishing[name.lower()]
        waiting.update(tasks)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        waiting.difference_update(tasks)
        found = [self._answer(client, name, each) for each in answers]
        if any(isinstance(each, OfferUncertainError) for each in found):
            # A connection that did not answer is not used again, so the next offer is known not to
            # have been sent where the server is away.
            await self._connection.drop(client)
        return found

    def _answer(
        self, client: Connection, name: str, answer: PubAck | BaseException
    ) -> PubAck | EngineError:
        if not isinstance(answer, BaseException):
            return answer
        if isinstance(answer, NoStreamResponseError):
            # It was there and has been deleted: where offers make streams, the next one does.
            self._made.pop(name, None)
            return streams.missing(name, self.name)
        if name.lower() in client.denied:
            return OfferRefusedError(f"NATS lets this user not publish to {name}")
        return offer_error(answer)
