"""NATS keeps every promise of an engine, on a server that keeps its streams when it is killed."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nats
import pytest

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.engines.nats import streams
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from tests.contract.engine_setups import PluginBench
from tests.servers.nats_server import NatsServer


class NatsBench(PluginBench):
    """A stream of the bench's queue."""

    foreign = (
        ForeignMessage(b'{"func": "os.system", "args": ["true"]}'),
        ForeignMessage(b'{"v": 1}'),
        ForeignMessage(b"[1, 2]"),
        ForeignMessage(b"[[], {}, {}]", {"task": "os.system", "id": "1"}),
    )

    def __init__(self, server: NatsServer) -> None:
        self._url = server.url
        super().__init__(plugin("nats"), server, servers=server.url)

    def plant(self, message: ForeignMessage) -> None:
        asyncio.run(self._plant(message))

    async def _plant(self, message: ForeignMessage) -> None:
        async with await nats.connect(self._url) as client:
            jetstream = client.jetstream()
            await streams.create(jetstream, self.name, self.site.settings)
            await jetstream.publish(self.name, message.body, headers=dict(message.headers))


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
def bench(nats_server: NatsServer) -> Iterator[NatsBench]:
    with closing(NatsBench(nats_server)) as bench:
        yield bench


class TestNatsEngine(EngineSuite):
    """The half that offers."""


class TestNatsWorker(WorkerSuite):
    """The half that works."""
