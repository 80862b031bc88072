"""A real dev server of Inngest's keeps what an engine promises about the offers it takes.

Where `FAILSOFT_TEST_INNGEST_DEV_URL` names one, as in

    npx inngest-cli dev --no-discovery --no-poll
    export FAILSOFT_TEST_INNGEST_DEV_URL=http://127.0.0.1:8288
    pytest -m long tests/contract/engines/test_inngest_dev_server.py

It is no part of `make test`, which starts every server that it needs: no registry has this one.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.testing.engine_suite.bench import arrived, new_message, offer
from failsoft.testing.engine_suite.delivery import DeliveryPromises
from tests.contract.engines.engine_setups import PluginBench
from tests.servers.processes import PATIENCE, wait_until

VARIABLE = "FAILSOFT_TEST_INNGEST_DEV_URL"
URL = os.environ.get(VARIABLE, "")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not URL, reason=f"{VARIABLE} names no dev server of Inngest's, and no registry has one"
    ),
]


class NoServer:
    """A server that is not ours to stop."""

    is_running = True

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class DevServerBench(PluginBench):
    """A function of a queue of its own, whose worker runs from the beginning on.

    The server keeps what other benches left, and goes on calling for it.
    """

    def __init__(self) -> None:
        super().__init__(plugin("inngest"), NoServer(), url=URL)
        self.engine.close()  # type: ignore[attr-defined]
        self.site = replace(self.site, namespace=f"bench-{secrets.token_hex(4)}")
        self.name = self.site.queue_name(self.queue)
        self.engine = self._plugin.build(self.site).adapter
        self.ready()

    def close(self) -> None:
        super().close()
        self.engine.close()  # type: ignore[attr-defined]


@pytest.fixture
def bench() -> Iterator[DevServerBench]:
    with closing(DevServerBench()) as bench:
        yield bench


class TestInngestDevServer(DeliveryPromises):
    """As on the server of the tests."""


def test_what_was_not_decided_when_the_worker_stopped_is_called_again(
    bench: DevServerBench,
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
