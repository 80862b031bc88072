"""Where NATS is, and how its streams are made."""

import ssl
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr

#: The names of this machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

SCHEMES = ("nats://", "tls://")


def _servers(text: str) -> str:
    for each in text.split(","):
        if not each.strip().startswith(SCHEMES):
            # No more of it than that: it may hold a password.
            raise ValueError(
                f"expected URLs that begin with one of {', '.join(SCHEMES)}, separated by commas"
            )
    return text


class NatsSettings(BaseModel):
    """The settings of the engine `nats`.

    Attributes:
        servers: Servers to begin with, as `nats://host:port,nats://host:port`.
        user: Who signs in, with `password`.
        password: See `user`.
        token: Signs in instead.
        credentials: A file of credentials (`.creds`) that signs in instead.
        nkey: A file with the seed of an NKey that signs in instead.
        tls_ca: A file with the authorities that the servers' certificates are checked against,
            where the system's are not enough.
        tls_certificate: A file with this client's certificate, with `tls_key`.
        tls_key: See `tls_certificate`.
        replicas: On how many servers each message of a new stream is kept; by default on 3, or
            on 1 where all `servers` are this machine.
        create_streams: Whether offers and workers make a stream that is missing; by default only
            where all `servers` are this machine.
    """

    servers: Annotated[str, AfterValidator(_servers)] = Field(
        default="nats://localhost:4222", repr=False
    )
    user: str = ""
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    credentials: Path | None = None
    nkey: Path | None = None
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    replicas: int | None = Field(default=None, ge=1, le=5)
    create_streams: bool | None = None

    @property
    def addresses(self) -> list[str]:
        """The URL of each server."""
        return [each.strip() for each in self.servers.split(",")]

    @property
    def is_local(self) -> bool:
        """Whether every server is this machine, as in development."""
        return all(urlsplit(each).hostname in LOOPBACK for each in self.addresses)

    @property
    def copies(self) -> int:
        """On how many servers each message of a new stream is kept."""
        return self.replicas or (1 if self.is_local else 3)

    @property
    def makes_streams(self) -> bool:
        """Whether offers and workers make a stream that is missing."""
        return self.is_local if self.create_streams is None else self.create_streams

    def client(self) -> dict[str, Any]:
        """Return what `nats.connect` takes: one attempt, for the breaker decides about the next."""
        options = {
            "servers": self.addresses,
            "user": self.user or None,
            "password": self.password.get_secret_value() or None,
            "token": self.token.get_secret_value() or None,
            "user_credentials": str(self.credentials) if self.credentials else None,
            "nkeys_seed": str(self.nkey) if self.nkey else None,
            "tls": self._tls(),
        }
        return {name: value for name, value in options.items() if value is not None}

    def _tls(self) -> ssl.SSLContext | None:
        if self.tls_ca is None and self.tls_certificate is None:
            return None
        context = ssl.create_default_context(cafile=self.tls_ca)
        if self.tls_certificate is not None:
            context.load_cert_chain(self.tls_certificate, self.tls_key)
        return context
