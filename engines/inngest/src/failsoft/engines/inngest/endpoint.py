"""What Inngest calls: an ASGI application that answers for the function of one queue.

A call is answered with 200 as soon as the ledger has decided about its message; the attempt then
goes on in its slot, protected by its lease. What is not decided here is answered with 503, and
Inngest calls again.
"""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from failsoft.engine_api import EngineError, MessageRejectedError, Slots, WorkerPost
from failsoft.engines.inngest import signatures
from failsoft.engines.inngest.client import Client, headers_of
from failsoft.engines.inngest.functions import PROBE, QueueFunction
from failsoft.engines.inngest.registration import register
from failsoft.engines.inngest.settings import InngestSettings, is_loopback
from failsoft.engines.inngest.signatures import SignatureError, Verifier, sign

#: The longest body that is read, in bytes; a call of ours has about 2,000.
BODY_BYTES = 1_000_000
#: How long a body may take to arrive, in seconds.
BODY_SECONDS = 10.0
#: How long a call waits for a slot, in seconds. Inngest counts it as one of its concurrent calls
#: meanwhile, and another worker may have a slot.
SLOT_SECONDS = 5.0
#: How often the first call that waits looks for a slot, in seconds.
LOOK_SECONDS = 0.01
#: When Inngest calls again, in seconds: where no slot was free, and where the worker stops.
SOON, AFTER_RESTART = 1, 3

_METHODS = ("GET", "POST", "PUT")


class _RefusedError(Exception):
    """A request that is answered with a status and a message."""

    def __init__(self, status: HTTPStatus, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Endpoint:
    """The ASGI application of one worker.

    Args:
        function: The queue's function.
        settings: The settings of the engine.
        post: The worker's place.
        slots: Where messages are processed.
        client: Registers the function with Inngest.
    """

    def __init__(
        self,
        function: QueueFunction,
        settings: InngestSettings,
        post: WorkerPost,
        *,
        slots: Slots,
        client: Client,
    ) -> None:
        self._function = function
        self._settings = settings
        self._post = post
        self._slots = slots
        self._client = client
        self._verifier = Verifier(settings.signing_keys)
        self._stopping = threading.Event()
        self._waiting = asyncio.Lock()

    def stop_with(self, stopping: threading.Event) -> None:
        """Take no more messages once the event is set."""
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request, key = Request(scope, receive), None
        try:
            body = await self._read(request)
            self._expect_known(request)
            key = self._signing_key(request, body)
            status, found = await self._answer(request, body, key)
            response = self._response(status, found, key)
        except _RefusedError as error:
            said = {"message": str(error)}
            response = self._response(error.status, said, key, error.headers)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _read(self, request: Request) -> bytes:
        body, limit = bytearray(), f"expected a body of at most {BODY_BYTES} bytes"
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > BODY_BYTES:
                        self._reject(f"{limit}, got more")
                        raise _RefusedError(
                            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, limit, connection="close"
                        )
        except TimeoutError:
            raise _RefusedError(
                HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive", connection="close"
            ) from None
        return bytes(body)

    def _expect_known(self, request: Request) -> None:
        if request.url.path.rstrip("/").rpartition("/")[2] != self._post.queue.name:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "expected the path of the worker's queue")
        if request.method not in _METHODS:
            raise _RefusedError(
                HTTPStatus.METHOD_NOT_ALLOWED, "expected GET, POST or PUT", allow="GET, POST, PUT"
            )
        if self._settings.is_dev and not is_loopback(f"//{request.headers.get('host', '')}"):
            # A page in a browser on this machine may reach it by another name.
            raise _RefusedError(HTTPStatus.FORBIDDEN, "expected a call to this machine's name")

    def _signing_key(self, request: Request, body: bytes) -> str | None:
        """Return what a request is signed with; None in dev mode, and where it may be unsigned."""
        header = request.headers.get(signatures.HEADER)
        if self._settings.is_dev or (header is None and request.method == "GET"):
            return None
        try:
            return self._verifier.verify(header, body)
        except SignatureError as error:
            self._reject(str(error))
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "Unauthorized") from None

    async def _answer(self, request: Request, body: bytes, key: str | None) -> tuple[int, Any]:
        is_trusted = key is not None or self._settings.is_dev
        if request.method == "GET":
            show = self._function.inspection if is_trusted else self._function.introspection
            return HTTPStatus.OK, show(self._settings)
        if request.method == "PUT":
            return await self._synchronize(request)
        if request.query_params.get("probe") == "trust":
            return HTTPStatus.OK, {}
        try:
            return await self._call(request, body)
        except _RefusedError as error:
            if key is not None and error.status == HTTPStatus.SERVICE_UNAVAILABLE:
                # A proxy may make the same call once more.
                self._verifier.forget(request.headers.get(signatures.HEADER))
            raise

    async def _synchronize(self, request: Request) -> tuple[int, Any]:
        if request.headers.get("x-inngest-sync-kind") == "in_band":
            return HTTPStatus.OK, self._function.synchronization(self._settings)
        try:
            await asyncio.to_thread(register, self._client, self._settings, self._function)
        except EngineError as error:
            return HTTPStatus.BAD_GATEWAY, {"message": str(error)}
        return HTTPStatus.OK, {"ok": True, "modified": True}

    async def _call(self, request: Request, body: bytes) -> tuple[int, Any]:
        if request.query_params.get("fnId") != self._function.id:
            self._reject("expected a call of the queue's function, got one of another")
            raise _RefusedError(HTTPStatus.NOT_FOUND, "function_not_found")
        data = self._data(body)
        if PROBE in data:
            return HTTPStatus.OK, None
        await self._reserve()
        if not await self._decided(data):
            raise _unavailable(AFTER_RESTART, "the worker stops")
        return HTTPStatus.OK, None

    def _data(self, body: bytes) -> Mapping[str, Any]:
        try:
            data = json.loads(body)["event"]["data"]
        except (ValueError, TypeError, KeyError, RecursionError):
            data = None
        if not isinstance(data, dict):
            error = "expected a call with an event and its data, got something else"
            self._reject(error)
            raise _RefusedError(HTTPStatus.BAD_REQUEST, error, x_inngest_no_retry="true")
        return data

    async def _reserve(self) -> None:
        """Reserve a slot; the calls that wait for one get it in the order of their arrival."""
        try:
            async with asyncio.timeout(SLOT_SECONDS), self._waiting:
                while not self._stopping.is_set():
                    if self._slots.reserve(0):
                        return
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise _unavailable(SOON, "no slot is free") from None
        raise _unavailable(AFTER_RESTART, "the worker stops")

    async def _decided(self, data: Mapping[str, Any]) -> bool:
        loop = asyncio.get_running_loop()
        decided = loop.create_future()

        def decide(is_decided: bool) -> None:
            with suppress(RuntimeError):  # the server has ended, and with it the call
                loop.call_soon_threadsafe(_settle, decided, is_decided)

        try:
            self._slots.submit(json.dumps(data).encode(), decide)
        except RuntimeError:  # the slots were closed meanwhile
            return False
        return bool(await decided)

    def _reject(self, message: str) -> None:
        self._post.reject(MessageRejectedError(message))

    def _response(
        self, status: int, found: Any, key: str | None, headers: Mapping[str, str] | None = None
    ) -> Response:
        body = json.dumps(found).encode()
        headers = {**headers_of(self._settings), **(headers or {})}
        if key is not None:
            headers[signatures.HEADER] = sign(key, body, int(time.time()))
        return Response(body, status, headers)


def _settle(decided: "asyncio.Future[bool]", is_decided: bool) -> None:
    if not decided.done():
        decided.set_result(is_decided)


def _unavailable(seconds: int, message: str) -> _RefusedError:
    return _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, message, retry_after=str(seconds))
