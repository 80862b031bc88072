"""The workers of a machine below a path of the user's own application."""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from failsoft.engines.inngest.client import SDK
from failsoft.engines.inngest.endpoint import AFTER_RESTART, BODY_BYTES
from failsoft.engines.inngest.functions import PATH

#: How long a worker may take to accept a connection, and to answer, in seconds. It answers when the
#: ledger has decided, so it takes long where the ledger is away.
CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 600.0

_TO_WORKER = ("host", "content-type", "x-inngest-", "x-request-id", "x-run-id", "user-agent")
_FROM_WORKER = ("content-type", "x-inngest-", "retry-after", "allow")


def serve(workers: Mapping[str, str]) -> ASGIApp:
    """Return an application that hands Inngest's calls to the workers of queues.

    Mounted at `/api/inngest`, it takes the calls for the queue `default` at `/api/inngest/default`;
    `FAILSOFT_INNGEST_SERVE_URL` is the public address of the mount. The workers are processes of
    their own (`failsoft worker inngest`), whose crash or restart is none of the application's; they
    verify what is handed on.

    Args:
        workers: Where the worker of each queue listens, as `{"default": "http://127.0.0.1:8290"}`.

    Raises:
        ValueError: An address is none.
    """
    return _Mount({queue: _address(queue, url) for queue, url in workers.items()})


class _Mount:
    def __init__(self, workers: Mapping[str, str]) -> None:
        self._workers = workers
        self._tls = httpx.create_ssl_context()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        queue = request.url.path.rstrip("/").rpartition("/")[2]
        if queue not in self._workers:
            return _said(HTTPStatus.NOT_FOUND, "expected the path of a queue")
        try:
            body = b"".join([chunk async for chunk in _limited(request)])
        except ValueError as error:
            return _said(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        return await self._hand_over(request, self._workers[queue], body)

    async def _hand_over(self, request: Request, url: str, body: bytes) -> Response:
        query = request.url.query
        timeouts = {
            "connect": CONNECT_SECONDS,
            "pool": CONNECT_SECONDS,
            "read": ANSWER_SECONDS,
            "write": ANSWER_SECONDS,
        }
        call = httpx.Request(
            request.method,
            f"{url}?{query}" if query else url,
            headers=_some(request.headers, _TO_WORKER),
            content=body,
            extensions={"timeout": timeouts},
        )
        # A connection a call, as Inngest has them: none is bound to an event loop.
        transport = httpx.AsyncHTTPTransport(verify=self._tls)
        try:
            answer = await transport.handle_async_request(call)
            read = await answer.aread()
        except httpx.HTTPError:
            return _said(
                HTTPStatus.SERVICE_UNAVAILABLE, "no worker answers", retry_after=str(AFTER_RESTART)
            )
        finally:
            await transport.aclose()
        return Response(read, answer.status_code, _some(answer.headers, _FROM_WORKER))


async def _limited(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES:
            raise ValueError(f"expected a body of at most {BODY_BYTES} bytes")
        yield chunk


def _some(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower().startswith(names)}


def _said(status: HTTPStatus, message: str, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"message": message}, status, {"x-inngest-sdk": SDK, **named})


def _address(queue: str, url: str) -> str:
    parts = httpx.URL(url)
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ValueError(f"expected an address like http://127.0.0.1:8290 for {queue}, got {url!r}")
    return f"{url.rstrip('/')}{PATH}/{queue}"
