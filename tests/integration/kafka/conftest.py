"""A broker for the module, and a site with a ledger, topics and processes of its own."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from failsoft.job_engine.records.job import JobRecord
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from tests.deployments.deployment import SHORT_INTERVALS
from tests.servers.processes import PATIENCE, Process, Processes, wait_until
from tests.servers.tansu import Tansu

PARTITIONS = 4


class Site:
    """What a program of ours has: a ledger, Kafka, two topics."""

    def __init__(self, servers: str, ledger_url: str, processes: Processes) -> None:
        self.servers = servers
        self.name = uuid4().hex[:8]
        self.paid, self.shipped = f"paid-{self.name}", f"shipped-{self.name}"
        self.group = f"group-{self.name}"
        self.database = Database(ledger_url)
        self.ledger = SqlLedger(self.database)
        self._processes = processes
        self._producer = Producer(self._client())
        self._reader: Consumer | None = None
        self._published: list[Message] = []
        self.env: Mapping[str, str] = {
            **SHORT_INTERVALS,
            "FAILSOFT_JOBS": "tests.jobs.kafka_jobs",
            "FAILSOFT_ENGINES": "kafka",
            "FAILSOFT_KAFKA_SERVERS": servers,
            "FAILSOFT_LEDGER_URL": ledger_url,
            "FAILSOFT_NAMESPACE": f"ns-{self.name}",
            "_TEST_PAID": self.paid,
            "_TEST_SHIPPED": self.shipped,
            "_TEST_GROUP": self.group,
        }

    def _client(self, **more: Any) -> dict[str, Any]:
        named = {name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.servers, "log_level": 0, **named}

    def create(self, *topics: str, partitions: int = PARTITIONS) -> None:
        admin = AdminClient(self._client())
        made = admin.create_topics([NewTopic(each, partitions, 1) for each in topics])
        for each in made.values():
            each.result(PATIENCE)

    def pay(self, *values: object, key: bytes | None = None) -> None:
        for value in values:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self._producer.produce(self.paid, body, key=key)
            self._producer.poll(0)
        assert self._producer.flush(PATIENCE) == 0

    def start(self, *words: str, killed_at: str | None = None) -> Process:
        if killed_at is None:
            return self._processes.fork("failsoft.worker.process", *words, env=self.env)
        env = {**self.env, "_TEST_KILLED_AT": killed_at}
        return self._processes.fork("tests.integration.kafka.killed", *words, env=env)

    def start_anew(self, *words: str) -> Process:
        """Start it in a Python of its own, which finds modules where the environment says."""
        return self._processes.python("-m", "failsoft.worker", *words, env=self.env)

    def jobs(self, name: str = "ship_order") -> Sequence[JobRecord]:
        return self.ledger.list_jobs(limit=10_000, name=name)

    def orders(self) -> list[int]:
        return sorted(json.loads(each.payload)["order"] for each in self.jobs())

    def wait_for_orders(self, count: int) -> list[int]:
        wait_until(lambda: len(self.jobs()) >= count, PATIENCE, f"{count} jobs")
        return self.orders()

    def committed(self) -> int:
        """How many records the group has behind it."""
        member = Consumer(self._client(group_id=self.group))
        with closing(member):
            places = [TopicPartition(self.paid, n) for n in range(PARTITIONS)]
            found = member.committed(places, timeout=PATIENCE)
            return sum(max(0, each.offset) for each in found)

    def published(self) -> Sequence[Message]:
        """Return what the topic of the steps' records holds by now."""
        if self._reader is None:
            self._reader = Consumer(self._client(group_id=self.name, enable_auto_commit=False))
            self._reader.assign([TopicPartition(self.shipped, n, 0) for n in range(PARTITIONS)])
        while (record := self._reader.poll(0.2)) is not None:
            assert record.error() is None, record.error()
            self._published.append(record)
        return self._published

    def ids(self) -> list[bytes]:
        """Return the ids of those."""
        return [dict(each.headers() or ())["failsoft-id"] for each in self.published()]

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self.database.close()

    def violations(self) -> list[Any]:
        return [each for checked in verify(self.database) for each in checked.violations]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tansu]:
    with Tansu(tmp_path_factory.mktemp("tansu")) as server:
        yield server


@pytest.fixture
def made(processes: Processes) -> Iterator[Callable[[str, str], Site]]:
    open_sites: list[Site] = []

    def make(servers: str, ledger_url: str) -> Site:
        site = Site(servers, ledger_url, processes)
        open_sites.append(site)
        upgrade(site.database)
        return site

    yield make
    for each in open_sites:
        each.close()


@pytest.fixture
def site(broker: Tansu, made: Callable[[str, str], Site], sqlite_url: str) -> Site:
    site = made(broker.url, sqlite_url)
    site.create(site.paid, site.shipped)
    return site
