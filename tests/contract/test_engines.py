"""Every engine keeps every promise: in memory, RQ, Dramatiq on RabbitMQ and on Valkey."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from failsoft.testing import EngineBench, EngineSuite, ServerlessEngineSuite
from tests.contract.engine_setups import DramatiqBench, MemoryBench, RqBench
from tests.servers.rabbitmq import Application, RabbitMQ
from tests.servers.valkey import Valkey


class TestMemoryEngine(ServerlessEngineSuite):
    @pytest.fixture
    def bench(self) -> Iterator[EngineBench]:
        with closing(MemoryBench()) as bench:
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


class TestDramatiqEngineOnValkey(EngineSuite):
    @pytest.fixture
    def bench(self, second_valkey: Valkey) -> Iterator[EngineBench]:
        with closing(DramatiqBench(second_valkey, second_valkey.url)) as bench:
            yield bench
