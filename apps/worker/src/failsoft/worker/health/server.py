"""The HTTP server of the probes: small, because a supervisor is to stay so.

The standard library's `http.server` imports TLS and mail, four times the memory of what it answers.
"""

import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from socketserver import StreamRequestHandler, TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast

from failsoft.job_engine.errors import ConfigurationError, FailsoftError
from failsoft.worker.health.address import Address
from failsoft.worker.health.metrics import MetricsPage
from failsoft.worker.health.report import HealthReport, Probe

if TYPE_CHECKING:
    from failsoft.telemetry import Page

logger: logging.Logger = logging.getLogger("failsoft.supervisor")

#: How long a client may take for a request, in seconds.
REQUEST_SECONDS = 5.0
#: How long the end of the server may take where a shut socket does not wake it, in seconds.
END_SECONDS = 1.0
#: The path of the figures for Prometheus.
METRICS = "/metrics"
#: Makes them, for the header `Accept` of a request.
Metrics = Callable[[str], "Page"]
#: The longest line of a request in bytes, and the most lines of its head.
MAX_LINE, MAX_LINES = 8192, 100


class _Handler(StreamRequestHandler):
    timeout = REQUEST_SECONDS

    def handle(self) -> None:
        # A client that goes away or is silent is its own affair.
        with suppress(OSError):
            head = self._head()
            if head is not None:
                self.wfile.write(cast("_Server", self.server).response(*head))

    def _head(self) -> tuple[str, str] | None:
        """Read the first line of a request and its `Accept`; None where it is none, or too long."""
        first, accept = self.rfile.readline(MAX_LINE), ""
        for _ in range(MAX_LINES):
            line = self.rfile.readline(MAX_LINE)
            if line in (b"\r\n", b"\n", b""):
                return first.decode("latin-1"), accept
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "accept":
                accept = value.strip()
        return None


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: Address, probes: Mapping[str, Probe], metrics: Metrics) -> None:
        self._probes = probes
        self._metrics = metrics
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._ends = False
        super().__init__((address.host, address.port), _Handler)

    def response(self, line: str, accept: str) -> bytes:
        """Return the answer to a request.

        Args:
            line: Its first line.
            accept: Its header `Accept`.
        """
        return _response(line, accept, self._probes, self._metrics)

    def serve(self) -> None:
        """Answer requests until `end`; without a timeout, which would wake an idle supervisor."""
        while not self._ends:
            self.handle_request()

    def end(self) -> None:
        """Let `serve` return: a socket that is shut down wakes it."""
        self._ends = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.error("a probe could not be answered", exc_info=sys.exception())


@contextmanager
def health_server(
    address: Address | None, report: HealthReport, metrics: Metrics | None = None
) -> Iterator[str]:
    """Serve the probes of a report; yield the server's URL, nothing where there is no address.

    Args:
        address: Where to listen.
        report: What the probes answer by.
        metrics: Makes the page of `/metrics`; from the environment where None.

    Raises:
        ConfigurationError: The address cannot be bound.
    """
    if address is None:
        yield ""
        return
    with _bound(address, report.probes, metrics or MetricsPage()) as server:
        thread = threading.Thread(target=server.serve, name="failsoft-health", daemon=True)
        thread.start()
        try:
            yield _url(server)
        finally:
            server.end()
            thread.join(END_SECONDS)


def _bound(address: Address, probes: Mapping[str, Probe], metrics: Metrics) -> _Server:
    try:
        return _Server(address, probes, metrics)
    except OSError as error:
        raise ConfigurationError(
            f"FAILSOFT_HEALTH: expected an address that is free, got {address} ({error.strerror})"
        ) from None


def _url(server: _Server) -> str:
    host, port, *_ = server.socket.getsockname()
    return f"http://{Address(host, port)}"


def _response(line: str, accept: str, probes: Mapping[str, Probe], metrics: Metrics) -> bytes:
    method, _, rest = line.strip().partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method not in ("GET", "HEAD"):
        return _page(HTTPStatus.METHOD_NOT_ALLOWED, {"expected": "GET"})
    if path == METRICS:
        return _figures(accept, metrics, with_body=method == "GET")
    if path not in probes:
        return _page(HTTPStatus.NOT_FOUND, {"expected": [*probes, METRICS]})
    reasons = list(probes[path]())
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return _page(status, {"ok": not reasons, "reasons": reasons}, with_body=method == "GET")


def _figures(accept: str, metrics: Metrics, *, with_body: bool) -> bytes:
    try:
        page = metrics(accept)
    except FailsoftError as error:
        reasons = {"ok": False, "reasons": [str(error)]}
        return _page(HTTPStatus.SERVICE_UNAVAILABLE, reasons, with_body=with_body)
    return _answer(HTTPStatus.OK, page.content_type, page.body, with_body=with_body)


def _page(status: HTTPStatus, document: object, *, with_body: bool = True) -> bytes:
    body = json.dumps(document).encode() + b"\n"
    return _answer(status, "application/json", body, with_body=with_body)


def _answer(status: HTTPStatus, content_type: str, body: bytes, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
