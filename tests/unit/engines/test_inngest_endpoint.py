"""What a worker answers to Inngest's calls, and to those that are none of Inngest's."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from failsoft.engine_api import EngineSite, MessageRejectedError, Slots, SystemClock, WorkerPost
from failsoft.engines.inngest import endpoint as module
from failsoft.engines.inngest.client import Client
from failsoft.engines.inngest.endpoint import BODY_BYTES, Endpoint
from failsoft.engines.inngest.functions import PROBE, QueueFunction
from failsoft.engines.inngest.settings import InngestSettings
from failsoft.engines.inngest.signatures import HEADER, sign
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.testing.engine_suite.bench import new_message
from failsoft.worker.engine_sites import LedgerOffers
from tests.servers.inngest_server import InngestServer
from tests.servers.processes import PATIENCE, free_port, wait_until

KEY = "signkey-prod-" + "0a" * 32
QUEUE = QueueProfile("jobs", slots=2)
PATH = "/api/inngest/jobs"
CALL = f"{PATH}?fnId=ns-jobs-claim&stepId=step"


class Ledger:
    """Decides about each message at once, or when it is let, or not at all."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.rejected: list[str] = []
        self.decides, self.ends = threading.Event(), threading.Event()
        self.decides.set()
        self.ends.set()
        self.is_stopping = threading.Event()

    def process(self, wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        while not self.decides.wait(0.01):
            if self.is_stopping.is_set():
                return
        self.taken.append(wire)
        claimed()
        self.ends.wait(PATIENCE)

    def reject(self, error: MessageRejectedError) -> None:
        self.rejected.append(str(error))


class Served:
    """An endpoint, and calls to it as Inngest makes them."""

    def __init__(self, ledger: Ledger, **settings: Any) -> None:
        given = {"url": f"http://127.0.0.1:{free_port()}", **settings}
        self.settings = InngestSettings.model_validate(given)
        self.client = Client(self.settings)
        self.slots = Slots(post_of(ledger))
        site = EngineSite("inngest", self.settings, "ns", LedgerOffers(), {})
        function = QueueFunction.of(site, QUEUE, QUEUE.slots, 8290)
        self.endpoint = Endpoint(
            function, self.settings, post_of(ledger), slots=self.slots, client=self.client
        )
        self.endpoint.stop_with(ledger.is_stopping)

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        async def answer() -> httpx.Response:
            async with self.opened() as client:
                return await client.request(method, path, content=body, headers=headers)

        return asyncio.run(answer())

    def opened(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.endpoint)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8290")


def post_of(ledger: Ledger) -> WorkerPost:
    return WorkerPost(
        queue=QUEUE,
        slots=QUEUE.slots,
        boot_id="boot",
        grace=timedelta(seconds=1),
        clock=SystemClock(),
        process=ledger.process,
        reject=ledger.reject,
        stop_job=lambda job_id: None,
    )


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def served(ledger: Ledger) -> Iterator[Served]:
    served = Served(ledger, signing_key=KEY, event_key="an-event-key")
    yield served
    ledger.ends.set()
    ledger.is_stopping.set()
    served.slots.close()
    served.client.close()


@pytest.fixture
def dev(ledger: Ledger) -> Iterator[Served]:
    served = Served(ledger)
    yield served
    served.slots.close()
    served.client.close()


def call_with(data: object) -> bytes:
    return json.dumps({"ctx": {"attempt": 0}, "event": {"name": "e", "data": data}}).encode()


def signed(body: bytes, at: int | None = None, key: str = KEY) -> dict[str, str]:
    return {HEADER: sign(key, body, int(time.time()) if at is None else at)}


def test_a_call_is_answered_when_the_ledger_has_decided_and_not_when_the_attempt_has_ended(
    served: Served, ledger: Ledger
) -> None:
    message = new_message().to_wire()
    ledger.ends.clear()

    answer = served.send("POST", CALL, body := call_with(message), **signed(body))

    assert (answer.status_code, answer.json()) == (200, None)
    assert answer.headers["x-inngest-sdk"]
    assert answer.headers[HEADER].startswith("t=")
    assert ledger.taken == [message]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: "none"},
        signed(b"another body"),
        signed(call_with({}), key="signkey-prod-" + "0b" * 32),
        signed(call_with({}), at=int(time.time()) - 3600),
        signed(call_with({}), at=int(time.time()) + 3600),
    ],
)
@pytest.mark.parametrize("request_line", [("POST", CALL), ("PUT", PATH)])
def test_what_inngest_did_not_sign_is_refused_and_counted(
    served: Served, ledger: Ledger, request_line: tuple[str, str], headers: dict[str, str]
) -> None:
    answer = served.send(*request_line, call_with({}), **headers)

    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert HEADER not in answer.headers
    assert len(ledger.rejected) == 1
    assert ledger.taken == []


def test_a_call_that_is_played_again_is_refused(served: Served, ledger: Ledger) -> None:
    body = call_with(new_message().to_wire())
    headers = signed(body)

    answers = [served.send("POST", CALL, body, **headers).status_code for _ in range(3)]

    assert answers == [200, 401, 401]
    assert len(ledger.taken) == 1
    assert "came before" in ledger.rejected[0]


def test_a_body_above_the_limit_is_not_read_to_its_end(served: Served, ledger: Ledger) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100 * BODY_BYTES:
            read += 65_536
            yield b"x" * 65_536

    async def answer() -> httpx.Response:
        async with served.opened() as client:
            return await client.post(CALL, content=endless())

    found = asyncio.run(answer())

    assert found.status_code == 413
    assert len(ledger.rejected) == 1
    assert found.headers["connection"] == "close"


def test_a_body_that_does_not_arrive_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def answer() -> int:
        scope = {
            "type": "http",
            "method": "POST",
            "path": PATH,
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
        }
        chunks, sent = silent(), list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        await served.endpoint(scope, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(answer()) == 408


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{PATH}?fnId=ns-other-claim", "function_not_found"),
        (PATH, "function_not_found"),
        ("/api/inngest/other?fnId=ns-jobs-claim", "expected the path of the worker's queue"),
        ("/?fnId=ns-jobs-claim", "expected the path of the worker's queue"),
    ],
)
def test_what_is_another_functions_is_not_taken(
    served: Served, ledger: Ledger, path: str, said: str
) -> None:
    body = call_with(new_message().to_wire())

    answer = served.send("POST", path, body, **signed(body))

    assert (answer.status_code, answer.json()) == (404, {"message": said})
    assert ledger.taken == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"event": null}',
        b'{"event": {"data": []}}',
        b'{"event": {"data": "text"}}',
        b'{"event": {"name": "e"}}',
    ],
)
def test_a_signed_call_without_an_event_is_refused_for_good(
    served: Served, ledger: Ledger, body: bytes
) -> None:
    answer = served.send("POST", CALL, body, **signed(body))

    assert answer.status_code == 400
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert len(ledger.rejected) == 1


def test_data_that_is_too_long_for_a_message_is_rejected(served: Served, ledger: Ledger) -> None:
    body = call_with({"job_id": "x" * 2000})

    assert served.send("POST", CALL, body, **signed(body)).status_code == 200
    assert "at most 1024 bytes" in ledger.rejected[0]
    assert ledger.taken == []


def test_a_probe_takes_no_slot(served: Served, ledger: Ledger) -> None:
    body = call_with({PROBE: True})

    assert served.send("POST", CALL, body, **signed(body)).status_code == 200
    assert (ledger.taken, ledger.rejected) == ([], [])


def test_a_worker_that_stops_takes_nothing_and_lets_inngest_call_again(
    served: Served, ledger: Ledger
) -> None:
    body = call_with(new_message().to_wire())
    headers = signed(body)
    ledger.is_stopping.set()

    answers = [served.send("POST", CALL, body, **headers) for _ in range(2)]

    # The second one is no repetition: nothing was decided about the first.
    assert [each.status_code for each in answers] == [503, 503]
    assert {each.headers["retry-after"] for each in answers} == {"3"}
    assert "x-inngest-no-retry" not in answers[0].headers
    assert (ledger.taken, ledger.rejected) == ([], [])


def test_what_was_not_decided_when_the_worker_stopped_is_called_again(
    served: Served, ledger: Ledger
) -> None:
    ledger.decides.clear()
    timer = threading.Timer(0.1, ledger.is_stopping.set)
    timer.start()

    answer = served.send("POST", CALL, body := call_with(new_message().to_wire()), **signed(body))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert ledger.taken == []


def test_calls_wait_for_a_slot_in_order_and_not_for_ever(
    served: Served, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [new_message().to_wire() for _ in range(5)]
    ledger.ends.clear()

    async def call(client: httpx.AsyncClient, message: object) -> httpx.Response:
        body = call_with(message)
        return await client.post(CALL, content=body, headers=signed(body))

    async def play() -> tuple[list[int], str]:
        async with served.opened() as client:
            for message in messages[:2]:
                assert (await call(client, message)).status_code == 200
            monkeypatch.setattr(module, "SLOT_SECONDS", 0.1)
            refused = await call(client, messages[2])
            monkeypatch.setattr(module, "SLOT_SECONDS", float(PATIENCE))
            waiting = [asyncio.create_task(call(client, each)) for each in messages[3:]]
            await asyncio.sleep(0)
            ledger.ends.set()
            answers = await asyncio.gather(*waiting)
            found = [refused.status_code, *(each.status_code for each in answers)]
            return found, refused.headers["retry-after"]

    statuses, retry_after = asyncio.run(play())

    assert statuses == [503, 200, 200]
    assert retry_after == "1"
    wait_until(lambda: len(ledger.taken) == 4, PATIENCE, "the others are taken")


def test_unsigned_introspection_shows_no_name_and_no_key(served: Served) -> None:
    answer = served.send("GET", PATH)

    assert answer.status_code == 200
    assert answer.json() == {
        "schema_version": "2024-05-24",
        "function_count": 1,
        "has_event_key": True,
        "has_signing_key": True,
        "has_signing_key_fallback": False,
        "mode": "cloud",
    }


def test_signed_introspection_shows_hashes_of_keys(served: Served) -> None:
    answer = served.send("GET", PATH, b"", **signed(b""))

    found = answer.json()
    assert (found["app_id"], found["authentication_succeeded"]) == ("ns-jobs", True)
    assert len(found["signing_key_hash"]) == len(found["event_key_hash"]) == 64
    assert "an-event-key" not in answer.text
    assert "0a0a" not in answer.text


def test_a_signed_synchronization_in_band_returns_the_function(served: Served) -> None:
    body = b'{"url":"https://evil.example.com/api/inngest"}'

    headers = {"x-inngest-sync-kind": "in_band", **signed(body)}
    answer = served.send("PUT", PATH, body, **headers)

    found = answer.json()
    assert answer.status_code == 200
    assert [each["id"] for each in found["functions"]] == ["ns-jobs-claim"]
    # Wherever the request came from: Inngest calls the address of the settings.
    assert found["url"] == "http://127.0.0.1:8290/api/inngest/jobs"
    assert "evil" not in answer.text


def test_a_signed_synchronization_registers_the_function(tmp_path: Path, ledger: Ledger) -> None:
    with InngestServer(tmp_path) as server:
        served = Served(ledger, **server.settings)
        key = server.settings["signing_key"]
        headers = {"host": "evil.example.com", **signed(b"", key=key)}

        answer = served.send("PUT", PATH, b"", **headers)
        unsigned = served.send("PUT", PATH)

        assert (answer.status_code, unsigned.status_code) == (200, 401)
        assert server.functions() == ["ns-jobs-claim"]
        assert "evil" not in (tmp_path / "inngest" / "apps.json").read_text()
        served.client.close()


def test_a_synchronization_without_inngest_is_a_bad_gateway(served: Served) -> None:
    answer = served.send("PUT", PATH, b"", **signed(b""))

    assert answer.status_code == 502
    assert "was not reached" in answer.json()["message"]


def test_a_probe_of_trust_is_signed_both_ways(served: Served) -> None:
    path = f"{PATH}?probe=trust"

    assert served.send("POST", path, b"").status_code == 401
    assert served.send("POST", path, b"", **signed(b"")).headers[HEADER]


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_refused(served: Served, method: str) -> None:
    answer = served.send(method, PATH)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, PUT")


def test_in_dev_mode_calls_are_not_signed(dev: Served, ledger: Ledger) -> None:
    message = new_message().to_wire()

    answer = dev.send("POST", CALL, call_with(message))

    assert answer.status_code == 200
    assert answer.headers["x-inngest-expected-server-kind"] == "dev"
    assert ledger.taken == [message]


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.example.com:8290", ""])
def test_in_dev_mode_a_page_in_a_browser_is_refused(dev: Served, ledger: Ledger, host: str) -> None:
    answer = dev.send("POST", CALL, call_with(new_message().to_wire()), host=host)

    assert answer.status_code == 403
    assert ledger.taken == []
