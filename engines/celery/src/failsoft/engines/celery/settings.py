"""Where Celery's broker is, and how its queues are declared."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from failsoft.engine_api import begins_with

_AMQP = ("amqp://", "amqps://")
_BROKERS = (*_AMQP, "redis://", "rediss://", "unix://")


def _brokers(text: str) -> str:
    for each in text.split(";"):
        begins_with(_BROKERS, each)
    return text


class CelerySettings(BaseModel):
    """The settings of the engine `celery`.

    Attributes:
        broker_url: Its broker: `redis://` for a Redis or Valkey, `amqp://` for RabbitMQ; several
            nodes of one RabbitMQ are separated by `;`.
        queue_type: Of the queues that are declared on RabbitMQ.
        tls_ca: A file with the authorities that the certificate of an `amqps://` server is checked
            against, where the system's are not enough.
        tls_certificate: A file with this client's certificate, with `tls_key`.
        tls_key: See `tls_certificate`.
    """

    broker_url: Annotated[str, AfterValidator(_brokers)] = Field(
        default="redis://localhost:6379/0", repr=False
    )
    queue_type: Literal["classic", "quorum"] = "classic"
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _tls_is_of_rabbitmq(self) -> Self:
        if not self.is_rabbitmq and (self.tls_ca or self.tls_certificate or self.tls_key):
            raise ValueError(
                "expected tls_ca, tls_certificate and tls_key with amqps:// alone; for a Redis put "
                "?ssl_ca_certs=, &ssl_certfile= and &ssl_keyfile= into its URL"
            )
        return self

    @property
    def is_rabbitmq(self) -> bool:
        """Whether the broker is RabbitMQ."""
        return self.broker_url.startswith(_AMQP)

    @property
    def nodes(self) -> list[str]:
        """The URL of each node of the broker."""
        return self.broker_url.split(";")

    def tls(self, host: str) -> dict[str, Any]:
        """Return how py-amqp connects to an `amqps://` server: it checks nothing by default."""
        found = {
            "ca_certs": self.tls_ca,
            "certfile": self.tls_certificate,
            "keyfile": self.tls_key,
        }
        given = {name: str(path) for name, path in found.items() if path is not None}
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host, **given}
