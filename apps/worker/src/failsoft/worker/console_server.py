"""Serving the web console alone, by uvicorn."""

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.processes.garbage import keep_what_is_loaded

#: How long open requests may take once the console is to stop, in seconds.
DRAIN_SECONDS = 5


def console_application(settings: Settings, host: str, path: str, *, read_only: bool) -> Any:
    """Return the ASGI application of a console that runs alone.

    Args:
        settings: The settings of the process.
        host: The address that it is to listen at.
        path: The path that it is served below.
        read_only: Whether nobody may change anything.

    Raises:
        ConfigurationError: The console is not installed, or it is to listen for other machines
            and nobody is named who may use it.
    """
    try:
        from failsoft.console import console as make  # noqa: PLC0415 - an extra of the distribution
        from failsoft.worker.console_environment import own_environment  # noqa: PLC0415 - see above
    except ImportError:
        raise ConfigurationError(
            "expected the console to be installed, got no failsoft.console; "
            "run `pip install failsoft[console]`"
        ) from None
    environment = own_environment(settings, read_only=read_only, behind_proxy=read_only)
    is_named = bool(environment.settings.users)
    if not _is_loopback(host) and not is_named and not read_only:
        raise ConfigurationError(
            f"expected users, tokens or --read-only with a proxy to listen at {host}, got none; "
            "set FAILSOFT_CONSOLE_USERS to what `failsoft console hash` prints"
        )
    if _is_loopback(host) and not is_named:
        environment = own_environment(settings, read_only=read_only, behind_proxy=False)
    prefix = _prefix(path)
    app = make(environment=environment)
    if not prefix:
        return app
    from starlette.applications import Starlette  # noqa: PLC0415 - see above
    from starlette.routing import Mount  # noqa: PLC0415 - see above

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # What is mounted has none of its own.
        async with app.router.lifespan_context(app):
            yield

    return Starlette(routes=[Mount(prefix, app)], lifespan=lifespan)


def serve(app: Any, listener: socket.socket) -> None:
    """Serve an application until a signal; what is open then may last `DRAIN_SECONDS`."""
    import uvicorn  # noqa: PLC0415 - an extra of the distribution

    # To go through that takes as long as two turns of a bulk, and would do so within one, whose
    # transaction the other writers wait for.
    keep_what_is_loaded()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
    )
    uvicorn.Server(config).run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; a port of 0 is any that is free.

    Raises:
        ConfigurationError: The address is in use, or none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"expected an address that is free, got {host}:{port}: {error.strerror or error}"
        ) from None
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def address_of(host: str, port: int, path: str = "/") -> str:
    """Return the address that a browser is given."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{_prefix(path)}/"


def _prefix(path: str) -> str:
    stripped = path.strip("/")
    return f"/{stripped}" if stripped else ""
