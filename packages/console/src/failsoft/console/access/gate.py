"""The ways into the console: which actor a request is of."""

import base64
import binascii
import inspect
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from failsoft.console.access.failed_logins import FailedLogins
from failsoft.console.access.roles import VIEWER, Actor
from failsoft.console.access.secrets import PasswordHash, token_hash
from failsoft.console.access.settings import Users

#: Of a program that mounts the console: who a request is of, None for nobody.
Authenticate = Callable[[Request], Actor | Awaitable[Actor | None] | None]

#: What a proxy adds; a request that has one of them is not local, wherever it comes from.
_FORWARDED = (
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"),
    *("x-forwarded-prefix", "x-forwarded-server", "x-forwarded-port", "via"),
)
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


class LoginRequiredError(Exception):
    """The request is nobody's.

    Attributes:
        with_password: Whether a browser may be asked for a name and a password.
    """

    def __init__(self, reason: str, *, with_password: bool) -> None:
        super().__init__(reason)
        self.with_password = with_password


class NotLocalError(Exception):
    """Nobody is configured, and the request is not from this machine alone."""


class TooManyFailuresError(Exception):
    """The address has failed to log in too often."""


class Gate(Protocol):
    """A way in."""

    async def actor(self, request: Request) -> Actor:
        """Return whose request it is.

        Raises:
            LoginRequiredError, NotLocalError, TooManyFailuresError: It is nobody's.
        """
        ...


class LoopbackGate:
    """Nobody is configured: programs of this machine may look, and change nothing.

    The name of the host is compared because a page of another site may point its own name at this
    address, and headers of proxies are refused because what they forward is not local.
    """

    async def actor(self, request: Request) -> Actor:
        """Return the local viewer; see `Gate`."""
        client = request.client.host if request.client else ""
        if not _is_loopback(client):
            raise NotLocalError(f"expected a request from this machine, got one from {client!r}")
        if any(name in request.headers for name in _FORWARDED):
            raise NotLocalError("expected a request without a proxy, got one that was forwarded")
        if _host(request.headers) not in _LOCAL_HOSTS:
            raise NotLocalError("expected the host localhost, 127.0.0.1 or [::1], got another")
        return Actor("local", "viewer", VIEWER)


class ProxyGate:
    """A proxy before the console lets in whom it should; they may look, and change nothing."""

    async def actor(self, request: Request) -> Actor:
        """Return the viewer that every request is of; see `Gate`."""
        return Actor("proxy", "viewer", VIEWER)


class UsersGate:
    """Names with passwords for people, tokens for programs; all from the settings."""

    def __init__(self, users: Users, failed: FailedLogins | None = None) -> None:
        self._users = users
        self._failed = FailedLogins() if failed is None else failed
        # Hashed where the name is unknown, so that the time does not tell which names there are.
        self._nobody = PasswordHash.of("")

    async def actor(self, request: Request) -> Actor:
        """Return the user or the program; see `Gate`."""
        address = request.client.host if request.client else ""
        if self._failed.is_blocked(address):
            raise TooManyFailuresError
        kind, _, credentials = request.headers.get("authorization", "").partition(" ")
        if not credentials:
            raise LoginRequiredError(
                "expected a login, got none", with_password=bool(self._users.passwords)
            )
        actor = await run_in_threadpool(self._found, kind.lower(), credentials.strip())
        if actor is None:
            self._failed.note(address)
            raise LoginRequiredError(
                "expected a known name and its password, or a known token, got others",
                with_password=bool(self._users.passwords),
            )
        return actor

    def _found(self, kind: str, credentials: str) -> Actor | None:
        if kind == "bearer":
            return self._users.tokens.get(token_hash(credentials))
        if kind != "basic":
            return None
        try:
            text = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        name, _, password = text.partition(":")
        known, actor = self._users.passwords.get(name, (self._nobody, None))
        return actor if known.matches(password) else None


class HostGate:
    """The program that mounts the console says who a request is of."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate

    async def actor(self, request: Request) -> Actor:
        """Return whom the program names; see `Gate`."""
        if inspect.iscoroutinefunction(self._authenticate):
            found = await self._authenticate(request)
        else:
            found = await run_in_threadpool(self._authenticate, request)
            if inspect.isawaitable(found):
                found = await found
        if not isinstance(found, Actor):
            raise LoginRequiredError(
                "expected a login of the program that holds the console, got none",
                with_password=False,
            )
        return found


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _host(headers: Mapping[str, str]) -> str:
    host = headers.get("host", "").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
