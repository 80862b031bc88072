"""Every engine with a server of its own, for a test that takes the server away."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.servers.nats_server import NatsServer
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.tansu import Tansu
from tests.servers.valkey import Valkey


@dataclass(frozen=True)
class Served:
    """An engine whose server answers.

    Attributes:
        settings: The variables that lead to the server.
        kill: Takes the server away; nothing for an engine that has none.
    """

    settings: Mapping[str, str]
    kill: Callable[[], object]


@contextmanager
def _rq(folder: Path, rabbitmq: RabbitMQ) -> Iterator[Served]:
    with Valkey(folder / "rq") as server:
        yield Served({"FAILSOFT_REDIS_URL": server.url}, server.kill)


@contextmanager
def _dramatiq(folder: Path, rabbitmq: RabbitMQ) -> Iterator[Served]:
    name = f"takeovers-{uuid.uuid4().hex}"
    try:
        yield Served({"FAILSOFT_AMQP_URL": rabbitmq.add_vhost(name)}, rabbitmq.kill)
    finally:
        rabbitmq.heal()
        rabbitmq.delete_vhost(name)


@contextmanager
def _kafka(folder: Path, rabbitmq: RabbitMQ) -> Iterator[Served]:
    with Tansu(folder) as server:
        yield Served({"FAILSOFT_KAFKA_SERVERS": server.url}, server.kill)


@contextmanager
def _nats(folder: Path, rabbitmq: RabbitMQ) -> Iterator[Served]:
    with NatsServer(folder) as server:
        yield Served({"FAILSOFT_NATS_SERVERS": server.url}, server.kill)


Serve = Callable[[Path, RabbitMQ], AbstractContextManager[Served]]
SERVERS: Mapping[str, Serve] = MappingProxyType(
    {"rq": _rq, "dramatiq": _dramatiq, "kafka": _kafka, "nats": _nats}
)
