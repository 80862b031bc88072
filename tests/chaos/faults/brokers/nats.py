"""What befalls NATS: it dies, forgets its streams, falls silent, refuses, loses a consumer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from shutil import rmtree

import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from failsoft.engines.nats.streams import CONSUMER
from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.topology import QUEUES
from tests.servers.nats_server import NatsServer

LANE = "nats"
#: How long an answer of a server that runs may take, in seconds.
WITHIN = 30.0

#: What is done to a stream, and what there was of it for the journal.
OnStream = Callable[[JetStreamContext, str], Awaitable[str]]


class NatsFaults:
    """The misfortunes of a server with JetStream."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("nats: kill", LANE, self._kill, 0.2, 3),
            Nemesis("nats: restart empty", LANE, self._restart_empty, 0.2, 3),
            Nemesis("nats: freeze", LANE, self._freeze, 0.5, 3),
            Nemesis("nats: freeze longer than pings", LANE, self._freeze, 3.5, 5),
            Nemesis("nats: delete a stream", LANE, self._on_a_stream(_delete), 0, 0.5),
            Nemesis("nats: purge a stream", LANE, self._on_a_stream(_purge), 0, 0.5),
            Nemesis("nats: delete a consumer", LANE, self._on_a_stream(_forget), 0, 0.5),
            Nemesis("nats: a stream is full", LANE, self._full, 0.5, 3),
        ]

    @contextmanager
    def _kill(self, rng: Random) -> Iterator[str]:
        self._server.stop()
        try:
            yield "kill -9, and its streams are on disk"
        finally:
            self._server.start()

    @contextmanager
    def _restart_empty(self, rng: Random) -> Iterator[str]:
        self._server.stop()
        try:
            rmtree(self._server.streams)
            yield "kill -9, and nothing on disk"
        finally:
            self._server.start()

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str]:
        self._server.freeze()
        try:
            yield "SIGSTOP"
        finally:
            self._server.thaw()

    @contextmanager
    def _full(self, rng: Random) -> Iterator[str | None]:
        stream = _any_stream(rng)
        hit = self._call(stream, _fill)
        try:
            yield hit
        finally:
            if hit is not None:
                self._call(stream, _empty)

    def _on_a_stream(self, do: OnStream) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str | None]:
            yield self._call(_any_stream(rng), do)

        return strike

    def _call(self, stream: str, do: OnStream) -> str | None:
        """Do it; None where the stream, or its consumer, has not been made again since a loss."""

        async def call() -> str | None:
            async with await nats.connect(self._server.url, connect_timeout=5) as client:
                try:
                    return await do(client.jetstream(timeout=WITHIN), stream)
                except NotFoundError:
                    return None

        return asyncio.run(call())


def _any_stream(rng: Random) -> str:
    return f"failsoft-{rng.choice(QUEUES)}"


async def _waiting(jetstream: JetStreamContext, stream: str) -> str:
    found = await jetstream.stream_info(stream)
    return f"{stream} with {found.state.messages} messages"


async def _delete(jetstream: JetStreamContext, stream: str) -> str:
    hit = await _waiting(jetstream, stream)
    await jetstream.delete_stream(stream)
    return hit


async def _purge(jetstream: JetStreamContext, stream: str) -> str:
    hit = await _waiting(jetstream, stream)
    await jetstream.purge_stream(stream)
    return hit


async def _forget(jetstream: JetStreamContext, stream: str) -> str:
    hit = await _waiting(jetstream, stream)
    await jetstream.delete_consumer(stream, CONSUMER)
    return hit


async def _fill(jetstream: JetStreamContext, stream: str) -> str:
    """Let it take no more: it has one message at most, and is to discard what is new."""
    hit = await _waiting(jetstream, stream)
    await _limit(jetstream, stream, max_msg_size=1)
    return hit


async def _empty(jetstream: JetStreamContext, stream: str) -> str:
    await _limit(jetstream, stream, max_msg_size=-1)
    return stream


async def _limit(jetstream: JetStreamContext, stream: str, max_msg_size: int) -> None:
    config = (await jetstream.stream_info(stream)).config
    await jetstream.update_stream(config.evolve(max_msg_size=max_msg_size))
