"""Several consumers of one group on librdkafka's mock cluster: one job a record all the same."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Producer
from pydantic import BaseModel

from failsoft.api import JobContext, job
from failsoft.engine_api import (
    AnyDefinition,
    BridgePost,
    DispatchOutcome,
    DispatchRequest,
    LedgerUnavailableError,
)
from failsoft.engines.kafka.consuming.consumer import GroupMember
from failsoft.engines.kafka.consuming.declaration import Consumption
from failsoft.engines.kafka.settings import KafkaSettings
from failsoft.job_engine.telemetry import Event
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.support.memory_app import MemoryApp

TOPIC = "paid"


class Paid(BaseModel):
    order: int


@job
def count_order(payload: Paid, ctx: JobContext) -> None: ...


class Bench:
    """A cluster in this process, a ledger in memory, and members that are started and stopped."""

    def __init__(self) -> None:
        self.cluster = Producer(
            {"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0}
        )
        (broker,) = self.cluster.list_topics(timeout=PATIENCE).brokers.values()
        self.settings = KafkaSettings(servers=f"{broker.host}:{broker.port}")
        self.producer = Producer(self.settings.client())
        self.app = MemoryApp()
        self.dispatched: Counter[str] = Counter()
        self.before: Callable[[str], object] = lambda member: None
        self.after: Callable[[str], object] = lambda member: None
        self.events: list[Event] = []
        self._members: list[tuple[threading.Thread, threading.Event]] = []

    def pay(self, *values: object) -> None:
        for value in values:
            body = value if isinstance(value, bytes) else json.dumps({"order": value}).encode()
            self.producer.produce(TOPIC, body)
        assert self.producer.flush(PATIENCE) == 0

    def start(self, name: str) -> threading.Event:
        def dispatch(
            definition: AnyDefinition, items: Sequence[DispatchRequest[Any]], /
        ) -> Sequence[DispatchOutcome[Any]]:
            self.before(name)
            found = self.app.dispatcher.dispatch_many(definition, items)
            self.dispatched[name] += len(items)
            self.after(name)
            return found

        post = BridgePost(
            *("kafka", name, dispatch, False, self.app.ledger),  # type: ignore[arg-type]
            *(self.app.clock, self.events.append),
        )
        member = GroupMember(self.settings, "g", {TOPIC: Consumption(count_order, TOPIC)}, post)
        stopping = threading.Event()
        thread = threading.Thread(target=member.run, args=(stopping,))
        thread.start()
        self._members.append((thread, stopping))
        return stopping

    def orders(self) -> list[int]:
        found = self.app.ledger.list_jobs(limit=10_000, name="count_order")
        return sorted(json.loads(each.payload)["order"] for each in found)

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.orders()) >= count, PATIENCE, f"{count} jobs")

    def close(self) -> None:
        for _, stopping in self._members:
            stopping.set()
        for thread, _ in self._members:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.mark.long
def test_a_group_that_grows_and_shrinks_makes_one_job_a_record(bench: Bench) -> None:
    first = bench.start("first")
    bench.pay(*range(100))
    bench.wait_for(100)

    bench.start("second")
    total = 100
    while not bench.dispatched["second"]:
        bench.pay(*range(total, total + 20))
        total += 20
        bench.wait_for(total)
    first.set()
    bench.pay(*range(total, total + 100))
    total += 100

    bench.wait_for(total)
    assert bench.orders() == list(range(total))


def test_records_that_another_consumer_is_given_as_well_make_no_second_job(bench: Bench) -> None:
    """The first has recorded the jobs and leaves the group before it commits."""
    stop: list[threading.Event] = []

    def leave(member: str) -> None:
        if member == "first":
            stop[0].set()
            raise LedgerUnavailableError  # as when the reply to the commit is lost

    bench.after = leave
    bench.pay(*range(10))
    stop.append(bench.start("first"))
    wait_until(stop[0].is_set, PATIENCE, "the first has recorded a batch")
    assert bench.orders()
    bench.start("second")

    wait_until(lambda: bench.dispatched["second"] >= 10, PATIENCE, "all are dispatched again")
    assert bench.orders() == list(range(10))


def test_while_the_ledger_is_away_records_wait_and_none_is_passed_over(bench: Bench) -> None:
    tried: list[str] = []

    def away(member: str) -> None:
        tried.append(member)
        if len(tried) < 4:
            raise LedgerUnavailableError

    bench.before = away
    bench.start("first")
    bench.pay(*range(50))

    bench.wait_for(50)
    assert bench.orders() == list(range(50))
    assert len(tried) >= 4


def test_what_waits_for_the_ledger_is_taken_over_when_its_consumer_stops(bench: Bench) -> None:
    is_away = threading.Event()

    def away(member: str) -> None:
        if member == "first":
            is_away.set()
            raise LedgerUnavailableError

    bench.before = away
    first = bench.start("first")
    bench.pay(*range(20))
    assert is_away.wait(PATIENCE)
    bench.start("second")
    first.set()

    bench.wait_for(20)
    assert bench.orders() == list(range(20))


def test_an_unfit_record_is_kept_and_reported_once(bench: Bench) -> None:
    bench.start("first")
    bench.pay(1, b"no json", 2)

    bench.wait_for(2)
    wait_until(lambda: bench.events, PATIENCE, "it is reported")
    (event,) = bench.events
    assert event.kind == "record.unfit"
    (kept,) = bench.app.ledger.list_jobs(name="unfit_kafka_record")
    assert (event.job_id, event.name) == (kept.id, "count_order")
    assert str(event.detail["place"]).startswith("paid/")
