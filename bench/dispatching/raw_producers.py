"""What enqueues by an engine's own library alone, on a server that the engine uses, too.

The libraries are used as their manuals have it for a program that waits for the acknowledgement:
what is not acknowledged may be lost, and Failsoft waits as well.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dramatiq
import inngest
import nats
import psycopg
from celery import Celery
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,  # pyright: ignore[reportPrivateImportUsage]
)
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from redis import Redis
from rq import Queue

from failsoft.queue.embedded_valkey import EmbeddedValkey
from tests.servers.inngest_server import InngestServer
from tests.servers.nats_server import NatsServer
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.tansu import Tansu

EMAIL = "ada@example.org"
RAW = "raw"
#: How long any of them may take, in seconds.
WITHIN = 60

#: Enqueues one, or as many as there are numbers.
One = Callable[[int], object]
Many = Callable[[Sequence[int]], object]


@dataclass(frozen=True)
class RawProducer:
    """How one enqueues without Failsoft.

    Attributes:
        settings: The variables that lead Failsoft's engine to the same server.
        one: What enqueues one, by its name.
        many: What enqueues many at once, by its name.
    """

    settings: Mapping[str, str]
    one: tuple[str, One]
    many: tuple[str, Many]


@dataclass(frozen=True)
class Site:
    """Where a raw producer is made: a folder, what ends its server, and the ledger's database."""

    folder: Path
    stack: ExitStack
    ledger_url: str


def _rq(site: Site) -> RawProducer:
    server = site.stack.enter_context(EmbeddedValkey(_made(site.folder / "valkey")))
    queue = Queue(RAW, connection=Redis.from_url(server.url))

    def many(numbers: Sequence[int]) -> None:
        jobs = [Queue.prepare_data("bench.jobs.work", (number, EMAIL)) for number in numbers]
        queue.enqueue_many(jobs)

    return RawProducer(
        {"FAILSOFT_REDIS_URL": server.url},
        ("Queue.enqueue", lambda number: queue.enqueue("bench.jobs.work", number, EMAIL)),
        ("Queue.enqueue_many", many),
    )


def _dramatiq(site: Site) -> RawProducer:
    server = RabbitMQ(_made(site.folder / "rabbitmq"))
    server.start()
    site.stack.callback(server.stop)
    broker = RabbitmqBroker(url=server.url, confirm_delivery=True)

    @dramatiq.actor(broker=broker, queue_name=RAW)
    def work(number: int, email: str) -> None:
        """Never run."""

    return RawProducer(
        {"FAILSOFT_AMQP_URL": server.url},
        ("actor.send, confirmed", lambda number: work.send(number, EMAIL)),
        ("actor.send, each", lambda numbers: [work.send(number, EMAIL) for number in numbers]),
    )


def _kafka(site: Site) -> RawProducer:
    server = site.stack.enter_context(Tansu(site.folder / "kafka"))
    admin = AdminClient({"bootstrap.servers": server.url})
    admin.create_topics([NewTopic(RAW, num_partitions=12)])[RAW].result(WITHIN)
    producer = Producer({"bootstrap.servers": server.url, "acks": "all", "linger.ms": 0})
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, record: Message) -> None:
        if error is not None:
            failed.append(error)

    def many(numbers: Sequence[int]) -> None:
        for number in numbers:
            producer.produce(RAW, f"{number} {EMAIL}".encode(), on_delivery=delivered)
        if producer.flush(WITHIN) or failed:
            raise AssertionError(f"expected acknowledged records, got {failed}")

    return RawProducer(
        {"FAILSOFT_KAFKA_SERVERS": server.url},
        ("produce and flush", lambda number: many([number])),
        ("produce each, flush", many),
    )


def _nats(site: Site) -> RawProducer:
    server = site.stack.enter_context(NatsServer(site.folder / "nats"))
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def call(work: Coroutine[Any, Any, object]) -> object:
        return asyncio.run_coroutine_threadsafe(work, loop).result(WITHIN)

    async def begin() -> Any:
        client = await nats.connect(server.url)
        jetstream = client.jetstream()
        await jetstream.add_stream(name=RAW, subjects=[RAW])
        return client, jetstream

    client, jetstream = call(begin())  # type: ignore[misc]  # what begin returns

    async def publish(numbers: Sequence[int]) -> None:
        await asyncio.gather(
            *(jetstream.publish(RAW, f"{number} {EMAIL}".encode()) for number in numbers)
        )

    site.stack.callback(lambda: call(client.close()))
    return RawProducer(
        {"FAILSOFT_NATS_SERVERS": server.url},
        ("jetstream.publish", lambda number: call(publish([number]))),
        ("publish, side by side", lambda numbers: call(publish(numbers))),
    )


def _celery(site: Site) -> RawProducer:
    server = site.stack.enter_context(EmbeddedValkey(_made(site.folder / "celery")))
    app = Celery(RAW, broker=server.url)
    app.conf.task_ignore_result = True

    def one(number: int) -> object:
        return app.send_task("bench.work", (number, EMAIL), queue=RAW)

    return RawProducer(
        {"FAILSOFT_CELERY_BROKER_URL": server.url},
        ("app.send_task", one),
        ("send_task, each", lambda numbers: [one(number) for number in numbers]),
    )


def _inngest(site: Site) -> RawProducer:
    server = site.stack.enter_context(InngestServer(_made(site.folder / "inngest"), ""))
    client = inngest.Inngest(
        app_id=RAW,
        api_base_url=server.url,
        event_api_base_url=server.url,
        is_production=False,
    )

    def many(numbers: Sequence[int]) -> object:
        data = [{"number": number, "email": EMAIL} for number in numbers]
        return client.send_sync([inngest.Event(name=f"{RAW}/work", data=each) for each in data])

    return RawProducer(
        {"FAILSOFT_INNGEST_URL": server.url, "FAILSOFT_INNGEST_DEV": "true"},
        ("client.send_sync", lambda number: many([number])),
        ("send_sync of all", many),
    )


def _ledger(site: Site) -> RawProducer:
    """Insert rows by the database's driver: what an engine without a broker costs at least."""
    if site.ledger_url.startswith("sqlite"):
        file = site.ledger_url.removeprefix("sqlite:///")
        connection: Any = sqlite3.connect(file, check_same_thread=False)
        insert = "INSERT INTO raw VALUES (?, ?)"
    else:
        connection = psycopg.connect(site.ledger_url.replace("+psycopg", ""))
        insert = "INSERT INTO raw VALUES (%s, %s)"
    site.stack.enter_context(closing(connection))
    connection.execute("CREATE TABLE raw (number integer, email text)")

    def many(numbers: Sequence[int]) -> None:
        connection.cursor().executemany(insert, [(number, EMAIL) for number in numbers])
        connection.commit()

    return RawProducer(
        {},
        ("INSERT, committed", lambda number: many([number])),
        ("INSERT of all, committed", many),
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


RAW_PRODUCERS: Mapping[str, Callable[[Site], RawProducer]] = MappingProxyType(
    {
        "rq": _rq,
        "dramatiq": _dramatiq,
        "kafka": _kafka,
        "nats": _nats,
        "celery": _celery,
        "inngest": _inngest,
        "ledger": _ledger,
    }
)
