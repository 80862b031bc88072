"""The page over HTTP: in an application's own server, or in one of the exporter's."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import cache
from http import HTTPStatus
from importlib.metadata import entry_points
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.errors import ConfigurationError
from failsoft.telemetry.exporter import Exporter, Page

#: Entry points that make an exporter from the environment; the worker app has `default`.
GROUP = "failsoft.exporter"

#: The interfaces of web servers, as their specifications have them.
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
WsgiApp = Callable[[Mapping[str, Any], StartResponse], Iterable[bytes]]
_METHODS = ("GET", "HEAD")


def metrics_asgi(exporter: Exporter | None = None) -> AsgiApp:
    """Return an ASGI application that answers every path with the page.

    Args:
        exporter: What makes the page; one from the environment where None, made at the first
            request.
    """

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            raise ConfigurationError(f"expected an HTTP request, got {scope['type']!r}")
        status, page = HTTPStatus.OK, None
        if scope["method"] in _METHODS:
            accept = _header(scope["headers"], b"accept")
            page = await in_thread(lambda: (exporter or _from_environment()).page(accept))
        else:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        headers = [(name.lower().encode(), value.encode()) for name, value in _headers(page)]
        body = b"" if page is None or scope["method"] == "HEAD" else page.body
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def metrics_wsgi(exporter: Exporter | None = None) -> WsgiApp:
    """Return a WSGI application that answers every path with the page.

    Args:
        exporter: As for `metrics_asgi`.
    """

    def app(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in _METHODS:
            start_response(_line(HTTPStatus.METHOD_NOT_ALLOWED), _headers(None))
            return [b""]
        page = (exporter or _from_environment()).page(environ.get("HTTP_ACCEPT", ""))
        start_response(_line(HTTPStatus.OK), _headers(page))
        return [b"" if method == "HEAD" else page.body]

    return app


def server(exporter: Exporter, host: str, port: int) -> WSGIServer:
    """Return a server of the page that listens; `serve_forever` serves, a thread a request.

    Args:
        exporter: What makes the page.
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Raises:
        OSError: The port is taken.
    """
    app: Any = metrics_wsgi(exporter)
    return make_server(host, port, app, server_class=_Server, handler_class=_Quiet)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    #: So that a client which sends nothing holds no thread, in seconds.
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
        """Log no scrape."""


@cache
def _from_environment() -> Exporter:
    for found in entry_points(group=GROUP, name="default"):
        exporter: Exporter = found.load()()
        return exporter
    raise ConfigurationError(
        f"expected an entry point `default` of the group {GROUP}, got none; install failsoft-worker"
    )


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in headers if key.lower() == name)


def _headers(page: Page | None) -> list[tuple[str, str]]:
    if page is None:
        return [("Allow", ", ".join(_METHODS)), ("Content-Length", "0")]
    return [("Content-Type", page.content_type), ("Content-Length", str(len(page.body)))]


def _line(status: HTTPStatus) -> str:
    return f"{int(status)} {status.phrase}"
