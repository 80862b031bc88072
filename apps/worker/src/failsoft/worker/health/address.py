"""The address on which a supervisor answers probes."""

from dataclasses import dataclass
from typing import Any

_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(value: Any) -> Any:
    """Read `HOST:PORT`; an address of IPv6 stands in brackets, as `[::]:8081`.

    Raises:
        ValueError: If it has another form.
    """
    if not isinstance(value, str):
        return value
    if not value:
        return None
    host, _, port = value.strip().rpartition(":")
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not inner or (":" in host and inner == host) or not _is_port(port):
        raise ValueError(f"expected HOST:PORT, as 127.0.0.1:8081 or [::]:8081, got {value!r}")
    return Address(inner, int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT
