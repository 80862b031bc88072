"""Programs of Inngest's own SDK work on the server that the tests take for Inngest."""

import json
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import inngest
import pytest
import uvicorn
from inngest._internal.server_lib import Framework
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from failsoft.engine_api import EngineSite
from failsoft.engines.inngest.functions import REDELIVERIES, QueueFunction
from failsoft.engines.inngest.settings import InngestSettings
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.worker.engine_sites import LedgerOffers
from tests.servers.inngest_server import EVENT_KEY, SIGNING_KEY, InngestServer
from tests.servers.processes import PATIENCE, free_port, is_listening, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of pydantic's, about the SDK
    from inngest._internal.comm_lib import CommHandler, CommRequest


class Program:
    """A program of the SDK's with one function, whose first `fails` attempts fail."""

    def __init__(self, server: InngestServer, signing_key: str) -> None:
        self.client = inngest.Inngest(
            app_id="program",
            api_base_url=server.url,
            event_api_base_url=server.url,
            event_key=EVENT_KEY if signing_key else None,
            is_production=bool(signing_key),
            signing_key=signing_key or None,
        )
        self.got: list[Any] = []
        self.fails = 0
        create = self.client.create_function(
            fn_id="note", trigger=inngest.TriggerEvent(event="program/noted"), retries=3
        )
        self.function: Any = create(self._note)
        self.handler = CommHandler(
            client=self.client,
            enable_unauthed_sync=False,
            framework=Framework.FAST_API,
            functions=[self.function],
            streaming=None,
        )
        self.port = free_port()
        methods = ["GET", "POST", "PUT"]
        route = Route("/api/inngest", self._answer, methods=methods)
        self._app = Starlette(routes=[route])

    @contextmanager
    def serving(self) -> Iterator[str]:
        config = uvicorn.Config(self._app, port=self.port, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            wait_until(lambda: is_listening(self.port), PATIENCE, "the program serves")
            yield f"http://127.0.0.1:{self.port}/api/inngest"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            self.client._http_client._http_client_sync.close()

    def _note(self, ctx: inngest.ContextSync) -> str:
        self.got.append((ctx.event.data, ctx.attempt))
        if len(self.got) <= self.fails:
            raise inngest.RetryAfterError("not yet", 1000, quiet=True)
        return "noted"

    async def _answer(self, request: Request) -> Response:
        call = CommRequest(
            body=await request.body(),
            headers=dict(request.headers.items()),
            public_path=None,
            query_params=dict(request.query_params.items()),
            raw_request=request,
            request_url=str(request.url),
            serve_origin=None,
            serve_path=None,
        )
        if request.method == "GET":
            found: Any = self.handler.get_sync(call)
        elif request.method == "PUT":
            found = await self.handler.put(call)
        else:
            found = await self.handler.post(call)
        return Response(json.dumps(found.body), found.status_code, found.headers)


@pytest.fixture(params=[SIGNING_KEY, ""], ids=["signed", "dev"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InngestServer]:
    with InngestServer(tmp_path, request.param) as server:
        yield server


@pytest.fixture
def program(server: InngestServer) -> Iterator[Program]:
    program = Program(server, server.settings.get("signing_key", ""))
    with program.serving() as url:
        status, said = server.call(b"", url=url, method="PUT")
        assert status == 200, said
        yield program


def test_an_event_that_the_sdk_sends_runs_the_sdks_function(
    server: InngestServer, program: Program
) -> None:
    data = {"ž": [1, 2.5, None, {"b": True}]}

    (event_id,) = program.client.send_sync(inngest.Event(name="program/noted", data=data))

    wait_until(lambda: server.runs()["ended"], PATIENCE, "the run has ended")
    (run,) = server.runs()["ended"]
    assert program.got == [(data, 0)]
    assert (run["event"]["id"], run["answers"], run["state"]) == (event_id, [200], "completed")


def test_a_function_that_fails_is_called_again_when_it_says(
    server: InngestServer, program: Program
) -> None:
    program.fails = 2

    program.client.send_sync(inngest.Event(name="program/noted", data={"v": 1}))

    wait_until(lambda: server.runs()["ended"], PATIENCE, "the run has ended")
    (run,) = server.runs()["ended"]
    assert [attempt for _, attempt in program.got] == [0, 1, 2]
    assert run["answers"] == [500, 500, 200]


def test_an_event_with_an_id_of_its_own_starts_a_function_once(
    server: InngestServer, program: Program
) -> None:
    for _ in range(3):
        program.client.send_sync(inngest.Event(name="program/noted", data={}, id="mine"))
    program.client.send_sync(inngest.Event(name="program/noted", data={"last": True}))

    wait_until(lambda: len(server.runs()["ended"]) == 2, PATIENCE, "both runs have ended")
    assert sorted(len(data) for data, _ in program.got) == [0, 1]


def test_our_function_is_described_as_the_sdk_describes_one(tmp_path: Path) -> None:
    program = Program(InngestServer(tmp_path), SIGNING_KEY)
    create = program.client.create_function(
        fn_id="claim",
        trigger=inngest.TriggerEvent(event="failsoft/program"),
        retries=REDELIVERIES,
        concurrency=[inngest.Concurrency(limit=8)],
    )
    theirs: Any = create(lambda ctx: None)
    settings = InngestSettings(serve_url="http://127.0.0.1")
    site = EngineSite("inngest", settings, "", LedgerOffers(), {})

    ours = QueueFunction.of(site, QueueProfile("program"), slots=4, port=0)

    shown = _without_none(theirs.get_config(ours.url).main.to_dict())
    config = dict(ours.config())
    # What people read is all that differs.
    assert shown | {"name": config["name"]} == config
    program.client._http_client._http_client_sync.close()


def _without_none(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _without_none(each) for name, each in found.items() if each is not None}
    return [_without_none(each) for each in found] if isinstance(found, list) else found
