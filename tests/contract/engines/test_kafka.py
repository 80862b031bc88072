"""Kafka keeps every promise of an engine, on a broker that forgets everything when it is killed."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import OfferRefusedError
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from failsoft.testing.engine_suite.bench import new_message
from tests.contract.engines.engine_setups import QUEUE, PluginBench, levels, site_of
from tests.servers.processes import PATIENCE, wait_until
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


def bench_in(folder: Path) -> KafkaBench:
    """For `failsoft engines test kafka --bench tests.contract.engines.test_kafka:bench_in`."""
    return KafkaBench(Tansu(folder))


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


def test_preparing_makes_each_topic_once(tansu: Tansu) -> None:
    found = plugin("kafka")
    site = site_of(found, {"servers": tansu.url, "create_topics": False})

    twice = [[each.found for each in found.prepare(site, [QUEUE, DEFAULT])] for _ in range(2)]

    assert twice == [["created"] * 2, ["is there"] * 2]


def test_an_offer_without_its_topic_is_refused_and_makes_none(tansu: Tansu) -> None:
    found = plugin("kafka")
    site = site_of(found, {"servers": tansu.url, "create_topics": False})
    engine, deadline = found.build(site), Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))

    with closing(engine.caller), pytest.raises(OfferRefusedError, match="engines prepare kafka"):
        engine.adapter.offer(new_message(), QUEUE, deadline)

    assert levels(found, site) == {"kafka": "ok", "kafka topic": "failure"}


def test_doctor_looks_at_brokers_topic_and_write(tansu: Tansu) -> None:
    found = plugin("kafka")
    site = site_of(found, {"servers": tansu.url})
    list(found.prepare(site, [DEFAULT]))

    assert levels(found, site) == {
        "kafka": "ok",
        "kafka replication": "warning",
        "kafka write": "ok",
    }


def test_brokers_that_are_away_are_a_failure_of_their_own(tansu: Tansu) -> None:
    found = plugin("kafka")
    tansu.stop()

    assert levels(found, site_of(found, {"servers": tansu.url})) == {"kafka": "failure"}


def test_a_broker_may_die_while_the_backlog_is_counted(tansu: Tansu) -> None:
    """An abort of librdkafka's would end this process (KA-01)."""
    found = plugin("kafka")
    engine = found.build(site_of(found, {"servers": tansu.url}))

    def probe(seconds: float) -> bool:
        deadline = Deadline.after(SystemClock(), timedelta(seconds=seconds))
        return engine.adapter.probe(QUEUE, deadline).healthy

    with closing(engine.caller):
        for _ in range(3):
            wait_until(lambda: probe(2), PATIENCE, "Kafka is healthy")
            tansu.stop()
            assert not any(probe(0.4) for _ in range(5))
            tansu.start()
