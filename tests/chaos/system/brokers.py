"""The servers of the engines of a chaos run, one for each engine that has one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import click

from tests.servers.nats_server import NatsServer
from tests.servers.proxy import TcpProxy, Translator
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.tansu import KafkaAddresses, Tansu
from tests.servers.valkey import Valkey

#: Engines that a run can have and that need no server of their own.
SERVERLESS = frozenset({"ledger"})
DEFAULT_ENGINES = ("rq", "dramatiq")


class BrokerServer(Protocol):
    """What every server of an engine can do."""

    @property
    def port(self) -> int:
        """The port, which stays over restarts."""
        ...

    def start(self) -> None:
        """Start it unless it runs; return when it serves."""
        ...

    def stop(self) -> None:
        """End it, whatever state it is in."""
        ...


@dataclass(frozen=True)
class Broker:
    """The server of an engine, and how the engine is led to it.

    Attributes:
        name: What the links to it, its folder and its faults are called.
        variable: The environment variable with its address.
        address: The address, with `{port}` for the port of the server or of a proxy before it.
        heal: Undoes whatever was done to it.
        translator: What a proxy does to the server's answers where these name its port.
    """

    name: str
    server: BrokerServer
    variable: str
    address: str
    heal: Callable[[], None]
    translator: Translator | None = None

    def link(self) -> TcpProxy:
        """Make a proxy before it."""
        return TcpProxy(self.server.port, self.translator)

    def settings(self, port: int) -> Mapping[str, str]:
        """Return the variables that lead an engine to a port of this machine."""
        return {self.variable: self.address.format(port=port)}


def _valkey(folder: Path) -> Broker:
    server = Valkey(folder / "valkey")

    def heal() -> None:
        if server.is_running:
            server.thaw()
        server.start()
        server.replica_of_nobody()
        server.out_of_memory(on=False)

    return Broker("valkey", server, "FAILSOFT_REDIS_URL", "redis://127.0.0.1:{port}/0", heal)


def _rabbitmq(folder: Path) -> Broker:
    server = RabbitMQ(folder / "rabbitmq")
    address = "amqp://guest:guest@127.0.0.1:{port}/%2F"
    return Broker("rabbitmq", server, "FAILSOFT_AMQP_URL", address, server.heal)


def _kafka(folder: Path) -> Broker:
    server = Tansu(folder / "kafka")

    def heal() -> None:
        server.thaw()
        server.start()

    variable, address = "FAILSOFT_KAFKA_SERVERS", "127.0.0.1:{port}"
    return Broker("kafka", server, variable, address, heal, KafkaAddresses)


def _nats(folder: Path) -> Broker:
    server = NatsServer(folder / "nats")

    def heal() -> None:
        server.thaw()
        server.start()

    return Broker("nats", server, "FAILSOFT_NATS_SERVERS", "nats://127.0.0.1:{port}", heal)


BROKERS: Mapping[str, Callable[[Path], Broker]] = MappingProxyType(
    {"rq": _valkey, "dramatiq": _rabbitmq, "kafka": _kafka, "nats": _nats}
)


class Engines(click.ParamType):
    """An ordered list of engines, as `rq,kafka,ledger`: at least two, each once."""

    name = "engines"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names."""
        names = tuple(each.strip() for each in str(value).split(",") if each.strip())
        known = sorted({*BROKERS, *SERVERLESS})
        if unknown := [each for each in names if each not in known]:
            self.fail(f"expected engines of {', '.join(known)}, got {', '.join(unknown)}")
        if len(names) < 2 or len(set(names)) < len(names):
            self.fail(f"expected two different engines or more, as in rq,kafka, got {value!r}")
        return names
