"""The server of the probes, over a socket."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest

from failsoft.job_engine.errors import ConfigurationError, LedgerUnavailableError
from failsoft.telemetry import Exporter
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import new_job, plan
from failsoft.worker.health.address import Address, read_address
from failsoft.worker.health.metrics import MetricsPage
from failsoft.worker.health.report import HealthReport, PostReport
from failsoft.worker.health.server import MAX_LINES, health_server
from failsoft.worker.processes.beats import SERVING


@pytest.fixture
def post() -> PostReport:
    return PostReport("rq:default")


@pytest.fixture
def report(post: PostReport) -> HealthReport:
    return HealthReport([post], timedelta(seconds=10))


@pytest.fixture
def port(report: HealthReport) -> Iterator[int]:
    with health_server(Address("127.0.0.1", 0), report) as url:
        yield int(url.rpartition(":")[2])


def say(port: int, text: str) -> tuple[str, str]:
    """Return the first line and the body of the response."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().decode().partition("\r\n\r\n")
    return head.splitlines()[0] if head else "", body


@pytest.mark.parametrize("path", ["/livez", "/livez?verbose", "/livez?a b"])
def test_a_probe_that_passes_says_so(port: int, path: str) -> None:
    line, body = say(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")

    assert line == "HTTP/1.1 200 OK"
    assert json.loads(body) == {"ok": True, "reasons": []}


def test_a_probe_that_fails_says_why(port: int, report: HealthReport, post: PostReport) -> None:
    line, body = say(port, "GET /readyz HTTP/1.0\r\n\r\n")

    assert line == "HTTP/1.1 503 Service Unavailable"
    assert json.loads(body) == {"ok": False, "reasons": list(report.readyz())}
    post.heard(SERVING)
    assert say(port, "GET /readyz HTTP/1.0\r\n\r\n")[0] == "HTTP/1.1 200 OK"


def test_head_gets_the_status_alone(port: int) -> None:
    assert say(port, "HEAD /startupz HTTP/1.1\r\n\r\n") == (
        "HTTP/1.1 503 Service Unavailable",
        "",
    )


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /metricz HTTP/1.1", "404 Not Found"),
        ("GET", "404 Not Found"),
        ("POST /livez HTTP/1.1", "405 Method Not Allowed"),
        ("", "405 Method Not Allowed"),
    ],
)
def test_another_request_is_refused(port: int, request_line: str, status: str) -> None:
    assert say(port, f"{request_line}\r\n\r\n")[0] == f"HTTP/1.1 {status}"


def test_a_head_without_an_end_is_cut_off_and_the_next_probe_answered(port: int) -> None:
    endless = "GET /livez HTTP/1.1\r\n" + "X: y\r\n" * MAX_LINES
    assert say(port, endless)[0] == ""

    assert say(port, "GET /livez HTTP/1.1\r\n\r\n")[0] == "HTTP/1.1 200 OK"


def test_a_client_that_says_nothing_holds_no_other_up(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        assert say(port, "GET /livez HTTP/1.1\r\n\r\n")[0] == "HTTP/1.1 200 OK"


def test_the_server_ends_with_its_block(report: HealthReport) -> None:
    with health_server(Address("127.0.0.1", 0), report) as url:
        address = Address("127.0.0.1", int(url.rpartition(":")[2]))
        with pytest.raises(ConfigurationError, match=f"free, got {address}"):
            health_server(address, report).__enter__()
    with health_server(address, report) as again:
        assert again == url


def test_without_an_address_there_is_none(report: HealthReport) -> None:
    with health_server(None, report) as url:
        assert url == ""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8081", Address("0.0.0.0", 8081)),  # noqa: S104 - that is what is read
        ("[::]:0", Address("::", 0)),
        (" localhost:65535 ", Address("localhost", 65535)),
        ("", None),
    ],
)
def test_an_address_is_read(text: str, address: Address | None) -> None:
    assert read_address(text) == address
    if address is not None:
        assert str(address) == text.strip()


@pytest.mark.parametrize(
    "text", ["8081", ":8081", "host", "host:", "host:x", "host:65536", "::1:80", "host:-1", "[]:1"]
)
def test_another_text_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        read_address(text)


def test_figures_are_on_the_same_port(report: HealthReport) -> None:
    ledger = MemoryLedger(FrozenClock())
    ledger.record_job(new_job(), plan())
    page = MetricsPage(lambda: Exporter(ledger))
    with health_server(Address("127.0.0.1", 0), report, page) as url:
        port = int(url.rpartition(":")[2])
        line, body = say(port, "GET /metrics HTTP/1.1\r\n\r\n")
        wanted = "Accept: application/openmetrics-text; version=1.0.0"
        _, open_body = say(port, f"GET /metrics HTTP/1.1\r\n{wanted}\r\n\r\n")
        head = say(port, "HEAD /metrics HTTP/1.1\r\n\r\n")
        ledger.down()
        away, _ = say(port, "GET /metrics HTTP/1.1\r\n\r\n")

    assert (line, away) == ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK")
    assert "failsoft_scrape_ok 1.0" in body
    assert open_body.endswith("# EOF\n")
    assert head == ("HTTP/1.1 200 OK", "")


def test_an_exporter_that_could_not_be_made_is_made_at_a_later_request(
    report: HealthReport,
) -> None:
    made: list[Exporter | Exception] = [
        Exporter(MemoryLedger(FrozenClock())),
        LedgerUnavailableError("away"),
    ]

    def make() -> Exporter:
        found = made.pop()
        if isinstance(found, Exception):
            raise found
        return found

    with health_server(Address("127.0.0.1", 0), report, MetricsPage(make)) as url:
        port = int(url.rpartition(":")[2])
        line, body = say(port, "GET /metrics HTTP/1.1\r\n\r\n")
        again, _ = say(port, "GET /metrics HTTP/1.1\r\n\r\n")

    assert (line, json.loads(body)["reasons"]) == ("HTTP/1.1 503 Service Unavailable", ["away"])
    assert again == "HTTP/1.1 200 OK"
