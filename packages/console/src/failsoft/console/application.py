"""From a request to its handler: login, permission, origin, body, errors."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from failsoft.console.access.gate import (
    HostGate,
    LoginRequiredError,
    NotLocalError,
    TooManyFailuresError,
    UsersGate,
)
from failsoft.console.access.headers import SecurityHeaders
from failsoft.console.access.origin import SAFE, is_same_origin
from failsoft.console.access.roles import Actor
from failsoft.console.call import Call
from failsoft.console.endpoint import Endpoint
from failsoft.console.refusal import RefusedError
from failsoft.console.site import Site
from failsoft.job_engine.errors import (
    DispatchError,
    FailsoftError,
    JobStateError,
    LedgerUnavailableError,
    NotFoundError,
    StepError,
)

logger: logging.Logger = logging.getLogger("failsoft.console")

#: The largest body and the longest query that are read, in bytes.
MAX_BODY_BYTES = 1024 * 1024
MAX_QUERY_BYTES = 16 * 1024

_STATUS: tuple[tuple[type[FailsoftError], int], ...] = (
    (NotFoundError, 404),
    (LedgerUnavailableError, 503),
    (JobStateError, 409),
    (DispatchError, 400),
    (StepError, 400),
)
_HEADINGS: Mapping[int, str] = {
    400: "That cannot be done",
    401: "Login needed",
    403: "Not allowed",
    404: "Not found",
    405: "Not allowed",
    409: "No longer so",
    413: "Too large",
    414: "Too long",
    429: "Too many failed logins",
    503: "The ledger is away",
}


def application(site: Site, endpoints: Sequence[Endpoint]) -> Starlette:
    """Return the ASGI application of a console.

    Where it is served by itself its end closes what it has opened. Mounted, it is told of no end:
    the thread of bulks ends with the process, and a turn that is cut off is rolled back.
    """
    serving = _Serving(site)
    routes = [
        Route(_matching(each), serving.of(each), name=each.name, methods=list(each.methods))
        for each in endpoints
    ]

    async def not_found(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return await serving.refuse(request, RefusedError(status, "expected a page, got no such"))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(site.close)

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={HTTPException: not_found},
    )
    # By its router a name is found after one exception for each route before it.
    site.routes = {each.name: each for each in routes}
    return app


def _matching(endpoint: Endpoint) -> str:
    """Return the path as it is matched: names of queues and definitions may have a slash."""
    if endpoint.name == "static":
        return endpoint.path
    return endpoint.path.replace("{name}", "{name:path}")


class _Serving:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._trusts_proxy = isinstance(site.gate, UsersGate | HostGate)

    def of(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Return what serves an endpoint."""

        async def serve(request: Request) -> Response:
            request.scope["failsoft.api"] = endpoint.is_api
            if not self._site.settings.enabled:
                return PlainTextResponse("Not Found", 404)
            try:
                return await self._respond(endpoint, request)
            except RefusedError as refused:
                return await self.refuse(request, refused)

        return serve

    async def refuse(self, request: Request, refused: RefusedError) -> Response:
        """Return the page, or the JSON, of what is refused."""
        if not self._site.settings.enabled:
            return PlainTextResponse("Not Found", 404)
        actor = request.scope.get("failsoft.actor", Actor("", "", frozenset()))
        call = Call(self._site, request, actor, self._prefix(request))
        heading, text = _HEADINGS.get(refused.status, "That went wrong"), str(refused)
        if call.is_api:
            body = {"error": heading, "detail": text}
            if refused.code is not None:
                body |= {"code": refused.code, "see": str(refused.entry)}
            response = call.json(body, refused.status)
        else:
            shown = partial(call.page, "error.html", refused.status, title=heading, refused=refused)
            response = await run_in_threadpool(shown)
        response.headers.update(refused.headers)
        return response

    def _prefix(self, request: Request) -> str:
        return self._site.prefix_of(request, trusts_proxy=self._trusts_proxy)

    async def _respond(self, endpoint: Endpoint, request: Request) -> Response:
        if len(request.url.query) > MAX_QUERY_BYTES:
            raise RefusedError(414, f"expected a query of at most {MAX_QUERY_BYTES} bytes")
        actor = Actor("", "", frozenset())
        if endpoint.permission is not None:
            actor = request.scope["failsoft.actor"] = await self._let_in(request)
            if self._site.settings.read_only:
                actor = actor.read_only()
            if not actor.may(endpoint.permission):
                raise RefusedError(
                    403,
                    f"expected the permission {endpoint.permission}, got the role {actor.role} "
                    "without it",
                )
            self._check_origin(request, actor)
        body = {} if request.method in SAFE else await _body(request)
        call = Call(self._site, request, actor, self._prefix(request), body)
        return await self._handled(endpoint, call)

    async def _let_in(self, request: Request) -> Actor:
        try:
            return await self._site.gate.actor(request)
        except LoginRequiredError as error:
            scheme = 'Basic realm="Failsoft", charset="UTF-8"' if error.with_password else "Bearer"
            raise RefusedError(401, str(error), {"WWW-Authenticate": scheme}) from None
        except NotLocalError as error:
            raise RefusedError(403, str(error)) from None
        except TooManyFailuresError:
            raise RefusedError(
                429, "expected fewer failed logins a minute, got too many", {"Retry-After": "60"}
            ) from None

    def _check_origin(self, request: Request, actor: Actor) -> None:
        is_checked = request.method not in SAFE and not actor.by_token
        if is_checked and not is_same_origin(request.headers):
            raise RefusedError(
                403,
                "expected a request of a page of this console, got one from elsewhere; programs "
                "send a bearer token",
            )

    async def _handled(self, endpoint: Endpoint, call: Call) -> Response:
        try:
            if endpoint.is_async:
                served: Response = await endpoint.handler(call)
                return served
            found: Response = await run_in_threadpool(endpoint.handler, call)
        except FailsoftError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
            headers = {"Retry-After": "2"} if isinstance(error, LedgerUnavailableError) else {}
            raise RefusedError(status, str(error), headers, error.code) from error
        except RefusedError:
            raise
        except Exception as error:
            logger.exception("%s failed", endpoint.name)
            raise RefusedError(500, "the log of the console has the traceback") from error
        return found


async def _body(request: Request) -> Mapping[str, Sequence[str]]:
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise RefusedError(413, f"expected a body of at most {MAX_BODY_BYTES} bytes")
    except ClientDisconnect:
        raise RefusedError(400, "expected a whole body, got a part of it") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _fields_of_json(bytes(content))
    if content and kind != "application/x-www-form-urlencoded":
        raise RefusedError(400, f"expected a form or JSON, got a body of the type {kind!r}")
    found: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(
            content.decode(), keep_blank_values=True, max_num_fields=2000, errors="strict"
        ):
            found.setdefault(name, []).append(value)
    except ValueError:
        raise RefusedError(400, "expected a form in UTF-8 of at most 2000 fields") from None
    return found


def _fields_of_json(content: bytes) -> Mapping[str, Sequence[str]]:
    try:
        given: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise RefusedError(400, "expected JSON, got something else") from None
    if not isinstance(given, dict):
        raise RefusedError(400, "expected a JSON object, got another value")
    return {name: _texts(value) for name, value in given.items() if value is not None}


def _texts(value: Any) -> Sequence[str]:
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
