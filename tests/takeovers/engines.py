"""Every engine with what it runs on, for a test that takes that away."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.servers.inngest_server import InngestServer
from tests.servers.nats_server import NatsServer
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.tansu import Tansu
from tests.servers.valkey import Valkey


@dataclass(frozen=True)
class Served:
    """An engine whose server answers, if it has one.

    Attributes:
        settings: The variables that lead to the server.
        kill: Takes the server away; nothing for an engine that has none.
    """

    settings: Mapping[str, str]
    kill: Callable[[], object]


@contextmanager
def _rq(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> Iterator[Served]:
    with Valkey(folder / "rq") as server:
        yield Served({"FAILSOFT_REDIS_URL": server.url}, server.kill)


@contextmanager
def _dramatiq(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> Iterator[Served]:
    node, name = rabbitmq(), f"takeovers-{uuid.uuid4().hex}"
    try:
        yield Served({"FAILSOFT_AMQP_URL": node.add_vhost(name)}, node.kill)
    finally:
        node.heal()
        node.delete_vhost(name)


@contextmanager
def _kafka(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> Iterator[Served]:
    with Tansu(folder) as server:
        yield Served({"FAILSOFT_KAFKA_SERVERS": server.url}, server.stop)


@contextmanager
def _nats(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> Iterator[Served]:
    with NatsServer(folder) as server:
        yield Served({"FAILSOFT_NATS_SERVERS": server.url}, server.stop)


@contextmanager
def _celery(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> Iterator[Served]:
    with Valkey(folder / "celery") as server:
        yield Served({"FAILSOFT_CELERY_BROKER_URL": server.url}, server.kill)


@contextmanager
def _inngest(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> Iterator[Served]:
    with InngestServer(folder) as server:
        settings = {f"FAILSOFT_INNGEST_{k.upper()}": v for k, v in server.settings.items()}
        yield Served(settings, server.kill)


def _ledger(folder: Path, rabbitmq: Callable[[], RabbitMQ]) -> AbstractContextManager[Served]:
    # It answers as long as the ledger does: what is lost with it is its worker.
    return nullcontext(Served({}, lambda: None))


Serve = Callable[[Path, Callable[[], RabbitMQ]], AbstractContextManager[Served]]
SERVERS: Mapping[str, Serve] = MappingProxyType(
    {
        "rq": _rq,
        "dramatiq": _dramatiq,
        "ledger": _ledger,
        "kafka": _kafka,
        "inngest": _inngest,
        "nats": _nats,
        "celery": _celery,
    }
)
