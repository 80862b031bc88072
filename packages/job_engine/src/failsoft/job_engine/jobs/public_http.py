"""HTTP to wherever a payload says, but only to public addresses, and to those that were checked.

A name is resolved once. Every address it has is checked, and the connection goes to one of those
very addresses, so that a name server cannot answer otherwise the second time (DNS rebinding).
The `Host` header, the server name in TLS and the certificate's check stay those of the URL.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import cached_property

import httpx

from failsoft.job_engine.errors import NonRetryableError

#: Returns the addresses of a host; raises `OSError` if it has none.
Resolver = Callable[[str, int], Sequence[str]]

#: A host with more addresses is tried at no more than these.
MAX_ADDRESSES = 4

_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not every Python lists them: relays and tunnels that hide another address, SRv6, examples.
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")
)


class ForbiddenAddressError(NonRetryableError):
    """The URL leads to an address that is not public; allow private ones if that is meant."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Return every address of a host, the system's favourite first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Return whether an address is one of the open internet, not of a private network."""
    ip = _innermost(ipaddress.ip_address(address))
    if any(ip in network for network in _NEVER_PUBLIC):
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _UNICAST:
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def _innermost(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


class PublicTransport(httpx.BaseTransport):
    """Send each request to an address that was checked; keep no connection for a second one.

    Connections are known by their address, and two hosts may share one: a connection that was
    kept could carry a request for one host after TLS proved the other.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolver: Resolver = resolve,
        verify: ssl.SSLContext | None = None,
        inner: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare the transport; nothing is loaded before the first request.

        Args:
            allow_private: Whether addresses that are not public are allowed too.
            resolver: Finds the addresses of a host.
            verify: How certificates are checked; the system's way where None.
            inner: What sends the requests, whose URLs name an address then.
        """
        self._allow_private = allow_private
        self._resolver = resolver
        self._verify = verify
        self._given = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first of the host's addresses that takes the connection.

        Raises:
            ForbiddenAddressError: If any address of the host is not public.
        """
        failure: httpx.TransportError = httpx.ConnectError("no address")
        for address in self._checked_addresses(request.url):
            try:
                return self._inner.handle_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Close what is open."""
        self._inner.close()

    @cached_property
    def _inner(self) -> httpx.BaseTransport:
        if self._given is not None:
            return self._given
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        return httpx.HTTPTransport(verify=self._verify or True, limits=limits)

    def _checked_addresses(self, url: httpx.URL) -> Sequence[str]:
        host = url.raw_host.decode("ascii")
        try:
            addresses = self._resolver(host, url.port or (443 if url.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"cannot resolve {host}: {error}") from error
        for address in addresses:
            if not (self._allow_private or is_public(address)):
                raise ForbiddenAddressError(
                    f"expected {host} to have public addresses only, got {address}; "
                    "allow private ones in the settings if that is meant"
                )
        return addresses[:MAX_ADDRESSES]


def _pinned(request: httpx.Request, address: str) -> httpx.Request:
    extensions = {**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")}
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )
