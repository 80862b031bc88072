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
    WorkerSuite,
)
from failsoft.testing.engine_suite.bench import (
    delivered,
    eventually,
    new_message,
    offer,
    settled,
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


@pytest.mark.long
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


class TestRqWorker(WorkerSuite):
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

    def test_what_ends_before_an_earlier_message_is_acknowledged_without_it(
        self, bench: WorkerBench, rabbitmq: RabbitMQ, amqp_url: str
    ) -> None:
        """One frame acknowledges several messages, and none that is still processed."""
        first, *others = [new_message() for _ in range(30)]
        bench.hold_attempts(first=1)
        offer(bench, first)
        bench.ready()
        eventually(lambda: bench.running() == 1, "the first attempt runs")
        for each in others:
            offer(bench, each)
        eventually(lambda: bench.finished() == len(others), "all others have ended")
        eventually(lambda: unacknowledged(rabbitmq, amqp_url) == 1, "all others are acknowledged")

        rabbitmq.close_all_connections()
        eventually(lambda: delivered(bench, 0).count(first) > 1, "the first is delivered again")
        bench.let_go()

        found = settled(bench)
        assert {found.count(each) for each in others} == {1}


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


def unacknowledged(rabbitmq: RabbitMQ, url: str) -> int:
    """Return how many messages of a virtual host are delivered and not acknowledged."""
    vhost = url.rpartition("/")[2]
    found = rabbitmq.ctl("list_queues", "--silent", "-p", vhost, "messages_unacknowledged")
    return sum(int(line) for line in found.split() if line.isdigit())
