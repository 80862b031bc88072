"""Where Kafka is, and how its topics are made."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

#: What `config` may hold of librdkafka's configuration. Not `plugin.library.paths`, `ssl.engine.*`,
#: `ssl.providers` and `sasl.kerberos.kinit.cmd`, which load or run code; nor what offers, commits
#: and their deadlines depend on.
ALLOWED = frozenset(
    {
        *("security.protocol", "sasl.mechanism", "sasl.mechanisms"),
        *("sasl.username", "sasl.password"),
        *("sasl.kerberos.service.name", "sasl.kerberos.principal", "sasl.kerberos.keytab"),
        *("sasl.oauthbearer.method", "sasl.oauthbearer.config", "sasl.oauthbearer.scope"),
        *("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret"),
        *("sasl.oauthbearer.extensions", "sasl.oauthbearer.token.endpoint.url"),
        *("ssl.ca.location", "ssl.ca.pem", "ssl.crl.location", "ssl.cipher.suites"),
        *("ssl.certificate.location", "ssl.certificate.pem", "ssl.sigalgs.list"),
        *("ssl.key.location", "ssl.key.pem", "ssl.key.password", "ssl.curves.list"),
        *("ssl.keystore.location", "ssl.keystore.password"),
        "ssl.endpoint.identification.algorithm",
        *("client.id", "client.rack", "client.dns.lookup", "broker.address.family"),
        *("session.timeout.ms", "heartbeat.interval.ms", "connections.max.idle.ms"),
    }
)

#: The names of this machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Value = str | int | float | bool


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "{}")
    except ValueError:
        raise ValueError("expected a JSON object, got something else") from None


def _allowed(config: Mapping[str, Value]) -> Mapping[str, Value]:
    others = sorted(config.keys() - ALLOWED)
    if others:
        # The names alone: what stands behind them may be a secret.
        raise ValueError(
            f"expected settings of TLS, SASL and the like, got {', '.join(others)}; "
            f"allowed are {', '.join(sorted(ALLOWED))}"
        )
    return config


class KafkaSettings(BaseModel):
    """The settings of the engine `kafka`.

    Attributes:
        servers: Brokers to begin with, as `host:port,host:port`.
        config: What librdkafka needs besides, as a JSON object: TLS and SASL, above all.
        instance: A name of this worker process that stays the same when it is restarted and that
            no other has (`group.instance.id`): then a restart moves no partition.
        partitions: How many partitions a topic is made with: the most worker processes of a queue
            that work at the same time.
        replicas: On how many brokers each record of such a topic is kept; by default on 3, or on
            1 where all `servers` are this machine.
        create_topics: Whether offers and workers make a topic that is missing; by default only
            where all `servers` are this machine.
    """

    servers: str = Field(default="localhost:9092", min_length=1)
    config: Annotated[Mapping[str, Value], BeforeValidator(_decoded), AfterValidator(_allowed)] = (
        Field(default={}, repr=False)
    )
    instance: str = ""
    partitions: int = Field(default=12, ge=1, le=10_000)
    replicas: int | None = Field(default=None, ge=1, le=100)
    create_topics: bool | None = None

    @property
    def is_local(self) -> bool:
        """Whether every server is this machine, as in development."""
        hosts = [each.rpartition(":")[0].strip(" []") for each in self.servers.split(",")]
        return all(host in LOOPBACK for host in hosts)

    @property
    def copies(self) -> int:
        """On how many brokers each record of a new topic is kept."""
        return self.replicas or (1 if self.is_local else 3)

    @property
    def makes_topics(self) -> bool:
        """Whether offers and workers make a topic that is missing."""
        return self.is_local if self.create_topics is None else self.create_topics

    def client(self, **config: Value) -> dict[str, Any]:
        """Return a client's configuration: `socket_timeout_ms=1` is `socket.timeout.ms` there."""
        named = {name.replace("_", "."): value for name, value in config.items()}
        return {"bootstrap.servers": self.servers, "log_level": 0, **named, **self.config}
