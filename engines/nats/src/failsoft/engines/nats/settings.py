"""Where NATS is, and how its streams are made."""

import ssl
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, SecretStr

SCHEMES = ("nats://", "tls://", "ws://", "wss://")


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
        replicas: On how many servers each message is kept; 1, 3 or 5.
        create_streams: Whether offers and workers make a stream that is missing; for development.
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
    replicas: int = Field(default=3, ge=1, le=5)
    create_streams: bool = False

    def client(self) -> dict[str, Any]:
        """Return what `nats.connect` takes: one attempt, for the breaker decides about the next."""
        options = {
            "servers": [each.strip() for each in self.servers.split(",")],
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
