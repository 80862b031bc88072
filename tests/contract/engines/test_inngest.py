"""Inngest keeps every promise of an engine, on a server of our own that speaks its protocol."""

import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.engines.inngest.signatures import HEADER, sign
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import (
    ConfigurationError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from failsoft.testing.engine_suite.bench import (
    arrived,
    delivered,
    failure_of,
    new_message,
    offer,
)
from failsoft.testing.engine_suite.forks import offer_from_a_child
from tests.contract.engines.engine_setups import (
    QUEUE,
    PluginBench,
    levels,
    post_of,
    site_of,
)
from tests.servers.inngest_server import EVENT_KEY, SIGNING_KEY, InngestServer
from tests.servers.processes import PATIENCE, free_port, wait_until


def call_with(**data: object) -> bytes:
    """Return the body of a call for an event with some data."""
    event = {"name": "failsoft/bench-bench", "data": data}
    return json.dumps({"ctx": {"attempt": 0}, "event": event, "events": [event]}).encode()


class InngestBench(PluginBench):
    """A function of the bench's queue, whose worker runs from the beginning on.

    What nothing is registered for starts nothing: an event is lost that comes before the first
    worker of its queue.
    """

    foreign = (
        ForeignMessage(call_with(func="os.system", args=["true"])),
        ForeignMessage(call_with(v=1)),
        ForeignMessage(call_with()),
        ForeignMessage(b'{"event": {"name": "os.system", "data": ["true"]}}'),
        ForeignMessage(
            call_with(v=1), {"x-inngest-signature": f"t={time.time():.0f}&s={'0' * 64}"}
        ),
        ForeignMessage(call_with(v=1), {"x-inngest-signature": "none"}),
    )

    def __init__(self, server: InngestServer, **settings: str) -> None:
        self._inngest = server
        super().__init__(plugin("inngest"), server, **{**server.settings, **settings})
        self.ready()

    @property
    def function(self) -> str:
        return f"{self.name}-claim"

    def plant(self, message: ForeignMessage) -> None:
        self.ready()
        self._inngest.call(message.body, message.headers, function=self.function)

    def _is_acknowledged(self) -> bool:
        return not self._inngest.runs()["open"]

    def close(self) -> None:
        super().close()
        # The suite probes in a thread of its own, and the caller has none then that would do it.
        self.engine.close()  # type: ignore[attr-defined]

    def claim_and_die(self) -> None:
        """Let the worker that dies claim a message of its own: this one has had the other."""
        wait_until(lambda: self.finished() == 1, PATIENCE, "the first message is processed")
        self.stop_worker()
        wait_until(self.has_stopped, PATIENCE, "the worker has ended")
        self._got.clear()
        before = self._inngest.urls()
        offering = threading.Thread(target=self._offer_to_another, args=(before,))
        offering.start()
        super().claim_and_die()
        offering.join()

    def _offer_to_another(self, before: Sequence[str]) -> None:
        wait_until(lambda: self._inngest.urls() != before, PATIENCE, "another worker registers")
        offer(self, new_message())


def bench_in(folder: Path) -> InngestBench:
    """For `failsoft engines test inngest --bench tests.contract.engines.test_inngest:bench_in`."""
    folder.mkdir(parents=True, exist_ok=True)
    return InngestBench(InngestServer(folder))


@pytest.fixture
def inngest_server(tmp_path: Path) -> Iterator[InngestServer]:
    with InngestServer(tmp_path) as server:
        yield server


@pytest.fixture
def bench(inngest_server: InngestServer) -> Iterator[InngestBench]:
    with closing(InngestBench(inngest_server)) as bench:
        yield bench


class TestInngestEngine(EngineSuite):
    """The half that offers."""


class TestInngestWorker(WorkerSuite):
    """The half that works."""


def deadline() -> Deadline:
    return Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))


def test_a_forked_child_offers_over_connections_of_its_own(bench: InngestBench) -> None:
    before = new_message()
    offer(bench, before)

    message = offer_from_a_child(bench)
    after = new_message()
    offer(bench, after)

    assert set(arrived(bench, [before, message, after])) == {before, message, after}


def test_a_worker_takes_each_signed_call_once_and_nothing_else(
    bench: InngestBench, inngest_server: InngestServer
) -> None:
    message, later = new_message(), new_message()
    body = call_with(**message.to_wire())
    (url,) = inngest_server.urls()
    signed = {HEADER: sign(SIGNING_KEY, body, int(time.time()))}
    old = {HEADER: sign(SIGNING_KEY, body, int(time.time()) - 3600)}
    strangers: list[tuple[bytes, dict[str, str], dict[str, str]]] = [
        (body, signed, {"function": bench.function}),
        (body, signed, {"function": bench.function}),
        (body, old, {"function": bench.function}),
        (body, {HEADER: "none"}, {"function": bench.function}),
        (call_with(), {}, {"url": f"{url}?fnId=another"}),
        (b"x" * 1_000_001, {}, {"function": bench.function}),
        (b"", {HEADER: "none"}, {"url": url, "method": "PUT"}),
    ]

    statuses = [inngest_server.call(*each[:2], **each[2])[0] for each in strangers]
    offer(bench, later)

    assert statuses == [200, 401, 401, 401, 404, 413, 401]
    assert arrived(bench, [message, later]) == [message, later]
    assert bench.rejected() == 6


def test_what_a_worker_that_restarts_has_not_decided_is_called_again_and_answered_once(
    bench: InngestBench, inngest_server: InngestServer
) -> None:
    bench.take_ledger_away()
    message = new_message()
    offer(bench, message)
    wait_until(lambda: bench.deciding() == 1, PATIENCE, "the message waits for its claim")

    bench.stop_worker()
    wait_until(bench.has_stopped, PATIENCE, "the worker has ended")
    bench.bring_ledger_back()
    bench.ready()

    assert arrived(bench, [message]) == [message]
    wait_until(lambda: not inngest_server.runs()["open"], PATIENCE, "the run has ended")
    (run,) = inngest_server.runs()["ended"]
    assert (run["answers"][0], run["answers"][-1], run["state"]) == (503, 200, "completed")


def test_a_worker_registers_again_where_everything_was_forgotten(
    bench: InngestBench, inngest_server: InngestServer
) -> None:
    inngest_server.stop()
    shutil.rmtree(inngest_server.folder / "inngest")
    inngest_server.start()

    wait_until(lambda: inngest_server.functions() == [bench.function], PATIENCE, "it is registered")
    bench.ready()
    message = new_message()
    offer(bench, message)
    assert delivered(bench, 1) == [message]


def test_a_wrong_event_key_is_told_from_a_server_that_is_away(
    inngest_server: InngestServer,
) -> None:
    found = plugin("inngest")
    site = site_of(found, {**inngest_server.settings, "event_key": "another-key"})
    engine = found.build(site)

    with closing(engine.caller):
        error, _ = failure_of(lambda: engine.adapter.offer(new_message(), QUEUE, deadline()))
        health = engine.adapter.probe(QUEUE, deadline())
        engine.adapter.close()  # type: ignore[attr-defined]

    assert type(error) is EngineRefusedError
    assert "Event key not found" in health.detail
    assert "another-key" not in health.detail + str(error)


def test_a_worker_with_a_wrong_signing_key_does_not_serve_and_says_why(
    inngest_server: InngestServer, caplog: pytest.LogCaptureFixture
) -> None:
    found, stopping = plugin("inngest"), threading.Event()
    wrong = {**inngest_server.settings, "signing_key": "signkey-prod-" + "0c" * 32}
    worker = found.build_worker(site_of(found, wrong), post_of(lambda *_: None, print))
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()

    wait_until(lambda: "refuses the function" in caplog.text, PATIENCE, "it says why")
    is_serving = worker.is_serving()
    stopping.set()
    thread.join(PATIENCE)

    assert not is_serving
    assert "Authentication failed" in caplog.text
    assert inngest_server.url in caplog.text
    assert "0c0c" not in caplog.text


def test_the_key_of_before_is_good_while_keys_are_rotated(
    inngest_server: InngestServer,
) -> None:
    new = "signkey-prod-" + "0d" * 32
    old = inngest_server.settings["signing_key"]

    keys = {"signing_key": new, "signing_key_fallback": old}
    with closing(InngestBench(inngest_server, **keys)) as bench:
        message = new_message()
        offer(bench, message)

        assert delivered(bench, 1) == [message]


def test_no_log_holds_a_key(bench: InngestBench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    offer(bench, message := new_message())
    bench.engine.probe(bench.queue, deadline())
    assert delivered(bench, 1) == [message]
    bench.stop_server()
    failure_of(lambda: offer(bench, new_message()))

    wait_until(lambda: "is lost" in caplog.text, PATIENCE, "the worker logs the outage")
    assert EVENT_KEY not in caplog.text
    assert "0badc0de" not in caplog.text


def test_two_workers_of_a_machine_need_two_ports(inngest_server: InngestServer) -> None:
    found, port = plugin("inngest"), free_port()
    site = site_of(found, {**inngest_server.settings, "port": str(port)})
    first = found.build_worker(site, post_of(lambda *_: None, print))

    with pytest.raises(EngineUnavailableError, match=f"expected port {port} of 127.0.0.1"):
        found.build_worker(site, post_of(lambda *_: None, print))
    stopped = threading.Event()
    stopped.set()
    first.run(stopped)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"signing_key": ""}, "expected a signing key in SIGNING_KEY"),
        ({}, "expected in SERVE_URL the address"),
        ({"url": "http://localhost", "host": "0.0.0.0"}, "expected in SERVE_URL"),  # noqa: S104
    ],
)
def test_a_worker_that_cannot_verify_its_calls_or_gets_none_does_not_start(
    settings: dict[str, str], expected: str
) -> None:
    found, elsewhere = plugin("inngest"), {"url": "https://inngest.example.com"}
    keys = {"event_key": EVENT_KEY, "signing_key": SIGNING_KEY}
    site = site_of(found, {**elsewhere, **keys, **settings})

    with pytest.raises(ConfigurationError, match=expected):
        found.build_worker(site, post_of(lambda *_: None, print))


@pytest.mark.parametrize("settings", [{}, {"serve_url": "http://127.0.0.1:9/api/inngest"}])
def test_doctor_looks_at_server_keys_workers_and_write(
    inngest_server: InngestServer, settings: dict[str, Any]
) -> None:
    found = plugin("inngest")
    fine = {"inngest": "ok", "inngest keys": "ok", "inngest write": "ok"}

    assert levels(found, site_of(found, {**inngest_server.settings, **settings})) == (
        fine | ({"inngest workers": "warning"} if settings else {})
    )


def test_doctor_finds_the_worker_behind_its_public_address(inngest_server: InngestServer) -> None:
    found, port, stopping = plugin("inngest"), free_port(), threading.Event()
    public = {"port": str(port), "serve_url": f"http://127.0.0.1:{port}/api/inngest"}
    site = site_of(found, {**inngest_server.settings, **public})
    post = replace(post_of(lambda *_: None, print), queue=DEFAULT)
    worker = found.build_worker(site, post)
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    wait_until(worker.is_serving, PATIENCE, "the worker serves")

    shown = levels(found, site)
    stopping.set()
    thread.join(PATIENCE)

    assert shown["inngest workers"] == "ok"


def test_a_wrong_event_key_is_a_failure_and_a_missing_signing_key_a_warning(
    inngest_server: InngestServer,
) -> None:
    found = plugin("inngest")
    given = {**inngest_server.settings, "event_key": "another-key", "signing_key": "", "dev": False}

    assert levels(found, site_of(found, given)) == {
        "inngest": "ok",
        "inngest keys": "warning",
        "inngest write": "failure",
    }


def test_a_server_that_is_away_is_a_failure_of_its_own(inngest_server: InngestServer) -> None:
    found = plugin("inngest")
    inngest_server.stop()

    assert levels(found, site_of(found, inngest_server.settings)) == {"inngest": "failure"}


class Page(BaseHTTPRequestHandler):
    """A server that is none of Inngest's, and answers everything alike."""

    status, body, headers_sent = 200, b"<html>", {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *words: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ({}, OfferUncertainError),
        ({"body": b'{"ids": [], "status": 200}'}, OfferUncertainError),
        ({"body": b'{"ids": "text"}'}, OfferUncertainError),
        ({"body": b"x" * 5_000_000}, OfferUncertainError),
        ({"body": b"[" * 100_000}, OfferUncertainError),
        ({"status": 302, "headers_sent": {"location": "http://h/"}}, EngineRefusedError),
        ({"status": 429}, EngineRefusedError),
        ({"status": 502}, OfferUncertainError),
    ],
)
def test_what_another_server_answers_is_no_acceptance(
    answer: dict[str, Any], meaning: type[EngineError]
) -> None:
    found = plugin("inngest")
    with HTTPServer(("127.0.0.1", 0), type("Answer", (Page,), answer)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        engine = found.build(site_of(found, {"url": url}))

        error, _ = failure_of(lambda: engine.adapter.offer(new_message(), QUEUE, deadline()))
        engine.adapter.close()  # type: ignore[attr-defined]
        server.shutdown()

    assert type(error) is meaning
    assert len(str(error)) < 400
