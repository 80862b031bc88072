"""Putting a console together."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from a2wsgi import ASGIMiddleware
from starlette.applications import Starlette

from failsoft.console.access.gate import (
    Authenticate,
    Gate,
    HostGate,
    LoopbackGate,
    ProxyGate,
    UsersGate,
)
from failsoft.console.application import application
from failsoft.console.environment import Environment, installed_environment
from failsoft.console.payloads.policy import PayloadPolicy, Redact
from failsoft.console.routes import endpoints
from failsoft.console.settings import ConsoleSettings
from failsoft.console.site import Site


def console(
    *,
    authenticate: Authenticate | None = None,
    redact: Redact | None = None,
    environment: Environment | None = None,
) -> Starlette:
    """Return the console as an ASGI application, to mount below any path.

    Args:
        authenticate: Says who a request is of: an `Actor`, or None for nobody. Without it the
            users and tokens of the settings are let in, and where there are none, requests of
            this machine, to look and to change nothing.
        redact: Has the last word on what is shown of a value: called with the name of the job, the
            kind of the value (`payload`, `result`, `step`) and the value.
        environment: Where the ledger and the engines come from; the settings where None.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    found = installed_environment() if environment is None else environment
    gate = _gate(found.settings, authenticate)
    site = Site(found, gate, PayloadPolicy(found.settings.payloads, redact))
    return application(site, endpoints())


def console_wsgi(
    *,
    authenticate: Authenticate | None = None,
    redact: Redact | None = None,
    environment: Environment | None = None,
) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return the console as a WSGI application; its pages ask for news, since none can be sent.

    The arguments are those of `console`.
    """
    found = installed_environment() if environment is None else environment
    app = console(
        authenticate=authenticate,
        redact=redact,
        environment=cast("Environment", _WithoutNews(found)),
    )
    wrapped: Any = ASGIMiddleware(app)  # type: ignore[arg-type]  # its own type of an application
    served: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]] = wrapped
    return served


class _WithoutNews:
    """An environment whose pages ask for news."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    @property
    def settings(self) -> ConsoleSettings:
        return replace(self._environment.settings, live=False)


def _gate(settings: ConsoleSettings, authenticate: Authenticate | None) -> Gate:
    if authenticate is not None:
        return HostGate(authenticate)
    if settings.users:
        return UsersGate(settings.users)
    return ProxyGate() if settings.behind_proxy and settings.read_only else LoopbackGate()
