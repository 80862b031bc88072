"""Inngest keeps every promise of an engine, on a server of our own that speaks its protocol."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from failsoft.testing.engine_suite.bench import arrived, new_message, offer
from tests.contract.engine_setups import PluginBench, levels, offer_from_a_child, site_of
from tests.servers.inngest_server import EVENT_KEY, InngestServer
from tests.servers.processes import PATIENCE, wait_until


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

    def __init__(self, server: InngestServer) -> None:
        self._inngest = server
        super().__init__(plugin("inngest"), server, **server.settings)
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
        self.stop_worker()
        wait_until(self.has_stopped, PATIENCE, "the worker has ended")
        super().claim_and_die()


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
