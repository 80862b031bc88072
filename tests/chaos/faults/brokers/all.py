"""The misfortunes of the servers that the engines of a run have."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from tests.chaos.faults.brokers.kafka import KafkaFaults
from tests.chaos.faults.brokers.nats import NatsFaults
from tests.chaos.faults.brokers.rabbitmq import RabbitMQFaults
from tests.chaos.faults.brokers.valkey import ValkeyFaults
from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.system.brokers import Broker


class Faults(Protocol):
    """All that can befall one server."""

    def all(self) -> Sequence[Nemesis]:
        """Return every kind."""
        ...


#: By engine, and each made of the engine's server.
FAULTS: Mapping[str, Callable[[Any], Faults]] = MappingProxyType(
    {"rq": ValkeyFaults, "dramatiq": RabbitMQFaults, "kafka": KafkaFaults, "nats": NatsFaults}
)


def broker_faults(brokers: Mapping[str, Broker]) -> Iterator[Nemesis]:
    """Return the misfortunes of these engines' servers."""
    for engine, broker in brokers.items():
        yield from FAULTS[engine](broker.server).all()
