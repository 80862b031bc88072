"""Where Inngest is, what signs the calls in both directions, and where the workers listen."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationInfo, field_validator

#: The names of this machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: Every address of a machine: one to listen on, and none to be called at.
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - they are recognized here

#: What Inngest's own dev server takes for a key where none is set.
NO_KEY = "NO_EVENT_KEY_SET"

_KEY_PREFIX = re.compile(r"^signkey-\w+-")
_PORT = re.compile(r"(?:(?P<queue>[a-z][a-z0-9-]*)\s*=\s*)?(?P<port>\d{1,5})")
_ANY_QUEUE = ""
_LAST_PORT = 65535


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        # No more of it than that: it may hold a password.
        raise ValueError("expected a URL like https://inngest.example.com, got something else")
    return url.rstrip("/")


def _origin_or_none(url: str) -> str:
    return _origin(url) if url else url


def _read_ports(text: str) -> dict[str, int]:
    ports = dict[str, int]()
    for each in filter(None, (word.strip() for word in text.split(","))):
        found = _PORT.fullmatch(each)
        if found is None or int(found["port"]) > _LAST_PORT:
            raise ValueError(
                f"expected ports like 8290 or default=8290,data-sync=8291, got {each!r}"
            )
        ports[found["queue"] or _ANY_QUEUE] = int(found["port"])
    return ports


def _ports(text: str) -> str:
    _read_ports(text)
    return text


def _signing_key(key: SecretStr) -> SecretStr:
    try:
        bytes.fromhex(bare(key.get_secret_value()))
    except ValueError:
        # None of it is shown.
        raise ValueError("expected a key like signkey-prod-0123abcd, got something else") from None
    return key


def bare(signing_key: str) -> str:
    """Return a signing key without the prefix that names its environment."""
    return _KEY_PREFIX.sub("", signing_key)


def is_loopback(url_or_host: str) -> bool:
    """Return whether an address is this machine alone."""
    host = urlsplit(url_or_host).hostname if "//" in url_or_host else url_or_host
    return host in LOOPBACK


class InngestSettings(BaseModel):
    """The settings of the engine `inngest`.

    Attributes:
        url: Inngest's API, where functions are registered: a self-hosted server, a dev server, or
            `https://api.inngest.com`.
        event_url: Where events are posted, if not to `url`: `https://inn.gs` for Inngest Cloud.
        env: The branch environment of Inngest Cloud, if it is not the main one.
        host: The address that workers listen on.
        port: Their ports, as `8290` or `default=8290,data-sync=8291`: each queue has its own. 0 is
            any free one.
        serve_url: The public address below which Inngest reaches the workers: that of the queue
            `default` is `<serve_url>/default`. Where they listen, if absent.
        signing_key: What Inngest signs its calls with, and workers sign in with.
        signing_key_fallback: The signing key of before, while keys are rotated.
        dev: Whether calls need no signature; only where all addresses are this machine. By
            default where `url` is this machine and there is no `signing_key`.
        event_key: What events are posted with.
        concurrency: The most calls of a queue that Inngest makes at once, to all workers
            together; twice the slots of one worker, if absent.
    """

    url: Annotated[str, AfterValidator(_origin)] = "http://localhost:8288"
    event_url: Annotated[str, AfterValidator(_origin_or_none)] = ""
    env: str = Field(default="", pattern=r"^[\w./-]{0,128}$")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: Annotated[str, AfterValidator(_ports)] = "0"
    serve_url: Annotated[str, AfterValidator(_origin_or_none)] = ""
    signing_key: Annotated[SecretStr, AfterValidator(_signing_key)] = SecretStr("")
    signing_key_fallback: Annotated[SecretStr, AfterValidator(_signing_key)] = SecretStr("")
    dev: bool | None = Field(default=None, validate_default=True)
    event_key: SecretStr = Field(default=SecretStr(""), validate_default=True)
    concurrency: int | None = Field(default=None, ge=1, le=10_000)

    @field_validator("dev")
    @classmethod
    def _keep_dev_on_this_machine(cls, dev: bool | None, info: ValidationInfo) -> bool:
        given = info.data
        if not {"url", "host", "serve_url", "signing_key", "event_url"} <= given.keys():
            return bool(dev)  # what is wrong with those is reported
        others = [
            name
            for name in ("url", "event_url", "host", "serve_url")
            if given[name] and not is_loopback(given[name])
        ]
        if dev is None:
            dev = is_loopback(given["url"]) and not given["signing_key"].get_secret_value()
        if dev and others:
            raise ValueError(
                "expected a signing key, or addresses of this machine alone: in dev mode calls "
                f"are not signed; got another machine in {', '.join(others)}"
            )
        return dev

    @field_validator("event_key")
    @classmethod
    def _expect_event_key(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        if not key.get_secret_value() and info.data.get("dev") is False:
            raise ValueError("expected the event key of Inngest's environment, got none")
        return key

    @property
    def events(self) -> str:
        """The address that events are posted to, with the key in it: never to be shown."""
        key = self.event_key.get_secret_value() or NO_KEY
        return f"{self.event_url or self.url}/e/{key}"

    @property
    def is_local(self) -> bool:
        """Whether Inngest is on this machine, as in development."""
        return is_loopback(self.url)

    @property
    def has_tls(self) -> bool:
        """Whether an address is one of TLS."""
        addresses = (self.url, self.event_url, self.serve_url)
        return any(each.startswith("https://") for each in addresses)

    @property
    def is_callable(self) -> bool:
        """Whether Inngest can reach a worker at the address that it is given."""
        return bool(self.serve_url) or (
            self.host not in WILDCARDS and (self.is_local or not is_loopback(self.host))
        )

    @property
    def is_dev(self) -> bool:
        """Whether calls are taken that are not signed."""
        return bool(self.dev)

    @property
    def signing_keys(self) -> list[str]:
        """The signing keys that there are, the present one first."""
        keys = (self.signing_key, self.signing_key_fallback)
        return [each.get_secret_value() for each in keys if each.get_secret_value()]

    def port_of(self, queue: str) -> int:
        """Return the port of a queue's workers; 0 where any free one will do."""
        ports = _read_ports(self.port)
        return ports.get(queue, ports.get(_ANY_QUEUE, 0))
