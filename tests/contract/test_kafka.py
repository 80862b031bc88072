"""Kafka keeps every promise of an engine, on a broker that forgets everything when it is killed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Producer

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from tests.contract.engine_setups import PluginBench
from tests.servers.processes import PATIENCE
from tests.servers.tansu import Tansu


class KafkaBench(PluginBench):
    """Topics of four partitions, which one worker has all of."""

    foreign = (
        ForeignMessage(b'{"func": "os.system", "args": ["true"]}'),
        ForeignMessage(b'{"v": 1}'),
        ForeignMessage(b"[1, 2]"),
        ForeignMessage(b"[[], {}, {}]", {"task": "os.system", "id": "1"}),
    )

    def __init__(self, server: Tansu) -> None:
        self._url = server.url
        super().__init__(plugin("kafka"), server, servers=server.url, partitions=4)

    def plant(self, message: ForeignMessage) -> None:
        producer = Producer({"bootstrap.servers": self._url, "log_level": 0})
        headers = list(message.headers.items())
        producer.produce(self.name, message.body, headers=headers)
        assert producer.flush(PATIENCE) == 0


@pytest.fixture
def tansu(tmp_path: Path) -> Iterator[Tansu]:
    with Tansu(tmp_path) as server:
        yield server


@pytest.fixture
def bench(tansu: Tansu) -> Iterator[KafkaBench]:
    with closing(KafkaBench(tansu)) as bench:
        yield bench


class TestKafkaEngine(EngineSuite):
    """The half that offers."""


class TestKafkaWorker(WorkerSuite):
    """The half that works."""
