"""What the server answers: the API of events, that of apps, and what tests may see and do."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from failsoft.testing.inngest_server.apps import Apps, RegistrationError
from failsoft.testing.inngest_server.calls import CallError
from failsoft.testing.inngest_server.protocol import MAX_EVENT_BYTES, MAX_EVENTS, is_signed_in
from failsoft.testing.inngest_server.runs import Runs


@dataclass(frozen=True, slots=True)
class Keys:
    """What the server takes for its own.

    Attributes:
        signing_key: What apps sign in with; none where empty, as in dev mode.
        event_keys: What events are posted with; any where there are none in dev mode.
    """

    signing_key: str
    event_keys: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What the server says that it is."""
        return "cloud" if self.signing_key else "dev"


class Server:
    """The routes of one server.

    Args:
        keys: The keys.
        apps: The apps.
        runs: The runs.
        has_hooks: Whether tests may look at runs and make calls of their own.
    """

    def __init__(self, keys: Keys, apps: Apps, runs: Runs, *, has_hooks: bool) -> None:
        self._keys = keys
        self._apps = apps
        self._runs = runs
        routes = [
            Route("/health", self._health),
            Route("/dev", self._info),
            Route("/e/{key}", self._events, methods=["POST"]),
            Route("/fn/register", self._register, methods=["POST"]),
        ]
        if has_hooks:
            routes += [
                Route("/test/runs", self._show_runs),
                Route("/test/call", self._call, methods=["POST"]),
            ]
        self.app: Starlette = Starlette(routes=routes)

    async def _health(self, request: Request) -> Response:
        return self._said(HTTPStatus.OK, {"status": 200, "message": "OK"})

    async def _info(self, request: Request) -> Response:
        if not self._is_signed_in(request):
            return self._failed(HTTPStatus.UNAUTHORIZED, "Authentication failed")
        functions = [each for app in self._apps.shown().values() for each in app["functions"]]
        return self._said(HTTPStatus.OK, {"version": "failsoft", "functions": functions})

    async def _events(self, request: Request) -> Response:
        refused = self._refused(request.path_params["key"])
        if refused is not None:
            return refused
        try:
            found = json.loads(await request.body())
        except (ValueError, RecursionError):
            return self._taken([], "Request body must contain an event object or an array of them")
        ids = list[str]()
        for event in found if isinstance(found, list) else [found]:
            error = _event_error(event, len(ids))
            if error is not None:
                # Those before it were taken all the same.
                return self._taken(ids, error)
            ids.append(self._runs.start(event))
        return self._taken(ids)

    async def _register(self, request: Request) -> Response:
        if not self._is_signed_in(request):
            return self._failed(HTTPStatus.UNAUTHORIZED, "Authentication failed")
        expected = request.headers.get("x-inngest-expected-server-kind", self._keys.kind)
        if expected != self._keys.kind:
            error = f"Expected server kind {self._keys.kind}, got {expected}"
            return self._failed(HTTPStatus.BAD_REQUEST, error)
        try:
            is_new = self._apps.register(json.loads(await request.body()))
        except (ValueError, RecursionError):
            return self._failed(HTTPStatus.BAD_REQUEST, "Invalid request")
        except RegistrationError as error:
            return self._failed(HTTPStatus.BAD_REQUEST, str(error))
        return self._said(HTTPStatus.OK, {"ok": True, "modified": is_new})

    async def _show_runs(self, request: Request) -> Response:
        shown = {
            "open": [asdict(each) for each in self._runs.open.values()],
            "ended": [asdict(each) for each in self._runs.ended],
        }
        return self._said(HTTPStatus.OK, shown)

    async def _call(self, request: Request) -> Response:
        """Call a function once with a body of the test's: with `?function=`, else at `?url=`."""
        query, given = request.query_params, request.headers.get("x-call-headers", "{}")
        function = self._apps.function(query.get("function", ""))
        url = query.get("url") or (function.url if function else "")
        body, method = await request.body(), query.get("method", "POST")
        try:
            answer = await self._runs.call(url, body, json.loads(given), method)
        except CallError as error:
            return self._failed(HTTPStatus.BAD_GATEWAY, str(error))
        found = {"status": answer.status, "body": answer.body.decode(errors="replace")}
        return self._said(HTTPStatus.OK, found)

    def _refused(self, key: str) -> Response | None:
        keys = self._keys.event_keys
        if self._keys.signing_key and not keys:
            error = "Event keys are required to process events securely"
            return self._failed(HTTPStatus.SERVICE_UNAVAILABLE, error)
        if keys and key not in keys:
            return self._failed(HTTPStatus.UNAUTHORIZED, "Event key not found")
        return None

    def _is_signed_in(self, request: Request) -> bool:
        key = self._keys.signing_key
        return not key or is_signed_in(request.headers.get("authorization"), key)

    def _taken(self, ids: list[str], error: str | None = None) -> Response:
        status = HTTPStatus.OK if error is None else HTTPStatus.BAD_REQUEST
        found = {"ids": ids, "status": int(status)} | ({"error": error} if error else {})
        return self._said(status, found)

    def _failed(self, status: HTTPStatus, error: str) -> Response:
        return self._said(status, {"status": int(status), "error": error})

    def _said(self, status: HTTPStatus, found: Mapping[str, Any]) -> Response:
        return JSONResponse(found, status, {"x-inngest-server-kind": self._keys.kind})


def _event_error(event: Any, number: int) -> str | None:
    if not isinstance(event, dict):
        return "Request body must contain an event object or an array of event objects"
    if number >= MAX_EVENTS:
        return f"The maximum number of events is {MAX_EVENTS}"
    if not isinstance(event.get("name"), str) or not event["name"]:
        return "event name is empty"
    size = len(json.dumps(event))
    if size > MAX_EVENT_BYTES:
        return f"Event is over the max size: Max {MAX_EVENT_BYTES} bytes / Size {size} bytes"
    return None
