"""Every engine keeps every promise: in memory, RQ, Dramatiq on RabbitMQ and on Valkey.

Of quorum queues most are long.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from failsoft.testing import (
    BasicWorkerSuite,
    EngineBench,
    EngineSuite,
    ServerlessEngineSuite,
    WorkerBench,
)
from tests.contract.engines.engine_setups import (
    DramatiqBench,
    MemoryBench,
    RqBench,
    SlowMemoryBench,
)
from tests.servers.rabbitmq import Application, RabbitMQ
from tests.servers.valkey import Valkey


class TestMemoryEngine(ServerlessEngineSuite):
    @pytest.fixture
    def bench(self) -> Iterator[EngineBench]:
        with closing(MemoryBench()) as bench:
            yield bench


class TestMemoryEngineWithASlowWorker(ServerlessEngineSuite):
    """No promise counts the time in which a worker comes up as silence."""

    @pytest.fixture
    def bench(self) -> Iterator[EngineBench]:
        with closing(SlowMemoryBench()) as bench:
            yield bench


class TestRqEngine(EngineSuite):
    @pytest.fixture
    def bench(self, valkey: Valkey) -> Iterator[EngineBench]:
        with closing(RqBench(valkey)) as bench:
            yield bench


class TestDramatiqEngineOnRabbitmq(EngineSuite):
    @pytest.fixture
    def bench(self, rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[EngineBench]:
        with closing(DramatiqBench(Application(rabbitmq), amqp_url)) as bench:
            yield bench


class TestDramatiqEngineOnQuorumQueues(EngineSuite):
    @pytest.fixture
    def bench(self, rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[EngineBench]:
        with closing(DramatiqBench(Application(rabbitmq), amqp_url, "quorum")) as bench:
            yield bench


class TestDramatiqEngineOnValkey(EngineSuite):
    @pytest.fixture
    def bench(self, second_valkey: Valkey) -> Iterator[EngineBench]:
        with closing(DramatiqBench(second_valkey, second_valkey.url)) as bench:
            yield bench


class TestRqWorker(BasicWorkerSuite):
    @pytest.fixture
    def bench(self, valkey: Valkey) -> Iterator[WorkerBench]:
        with closing(RqBench(valkey)) as bench:
            yield bench


class TestDramatiqWorkerOnRabbitmq(BasicWorkerSuite):
    @pytest.fixture
    def bench(self, rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[WorkerBench]:
        # How soon a RabbitMQ that is frozen is noticed: after two of them.
        url = f"{amqp_url}?heartbeat=3"
        with closing(DramatiqBench(Application(rabbitmq), url)) as bench:
            yield bench


@pytest.mark.long
class TestDramatiqWorkerOnQuorumQueues(BasicWorkerSuite):
    @pytest.fixture
    def bench(self, rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[WorkerBench]:
        with closing(DramatiqBench(Application(rabbitmq), amqp_url, "quorum")) as bench:
            yield bench


class TestDramatiqWorkerOnValkey(BasicWorkerSuite):
    @pytest.fixture
    def bench(self, second_valkey: Valkey) -> Iterator[WorkerBench]:
        with closing(DramatiqBench(second_valkey, second_valkey.url)) as bench:
            yield bench
