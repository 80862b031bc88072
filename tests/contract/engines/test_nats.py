"""NATS keeps every promise of an engine, on a server that keeps its streams when it is killed."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import nats
import psutil
import pytest

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.engines.nats import streams
from failsoft.engines.nats.connection import close, connect
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import OfferRefusedError
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from failsoft.testing.engine_suite.bench import (
    arrived,
    failure_of,
    new_message,
    offer_again_and_again,
)
from tests.contract.engines.engine_setups import QUEUE, PluginBench, levels, site_of
from tests.servers.nats_server import NatsServer
from tests.servers.processes import PATIENCE, wait_until


class NatsBench(PluginBench):
    """A stream of the bench's queue."""

    foreign = (
        ForeignMessage(b'{"func": "os.system", "args": ["true"]}'),
        ForeignMessage(b'{"v": 1}'),
        ForeignMessage(b"[1, 2]"),
        ForeignMessage(b"[[], {}, {}]", {"task": "os.system", "id": "1"}),
    )

    def __init__(self, server: NatsServer) -> None:
        self._url = server.url
        super().__init__(plugin("nats"), server, servers=server.url)

    def plant(self, message: ForeignMessage) -> None:
        asyncio.run(self._plant(message))

    async def _plant(self, message: ForeignMessage) -> None:
        async with await nats.connect(self._url) as client:
            jetstream = client.jetstream()
            await streams.create(jetstream, self.name, self.site.settings)
            await jetstream.publish(self.name, message.body, headers=dict(message.headers))


def bench_in(folder: Path) -> NatsBench:
    """For `failsoft engines test nats --bench tests.contract.engines.test_nats:bench_in`."""
    return NatsBench(NatsServer(folder))


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
def bench(nats_server: NatsServer) -> Iterator[NatsBench]:
    with closing(NatsBench(nats_server)) as bench:
        yield bench


class TestNatsEngine(EngineSuite):
    """The half that offers."""


class TestNatsWorker(WorkerSuite):
    """The half that works."""


def test_a_close_that_is_cancelled_half_way_leaves_no_socket(nats_server: NatsServer) -> None:
    async def connect_and_close() -> list[int]:
        client = await connect({"servers": nats_server.url})
        ending = asyncio.create_task(close(client))
        # It waits for what the connection has still to send.
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        await asyncio.sleep(0)
        return [each.fd for each in psutil.Process().net_connections() if each.raddr[1:] == port]

    port = (nats_server.port,)

    assert asyncio.run(connect_and_close()) == []


@pytest.fixture
def closed_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that lets one user in."""
    with NatsServer(tmp_path, "--user", "failsoft", "--pass", "right") as server:
        yield server


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_login_that_is_refused_is_told_from_a_server_that_is_away(
    closed_server: NatsServer, password: str
) -> None:
    found, deadline = plugin("nats"), Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))
    settings = {"servers": closed_server.url, "user": "failsoft", "password": password}
    engine = found.build(site_of(found, settings))

    with closing(engine.caller):
        health = engine.adapter.probe(QUEUE, deadline)

    assert health.healthy is (password == "right")
    assert ("refuses every offer" in health.detail) is (password == "wrong")


def test_preparing_makes_each_stream_once(nats_server: NatsServer) -> None:
    found = plugin("nats")
    site = site_of(found, {"servers": nats_server.url, "create_streams": False})

    twice = [[each.found for each in found.prepare(site, [QUEUE, DEFAULT])] for _ in range(2)]

    assert twice == [["is there"] * 2] * 2


def test_doctor_looks_at_server_stream_and_write(nats_server: NatsServer) -> None:
    found = plugin("nats")
    site = site_of(found, {"servers": nats_server.url, "create_streams": False})

    before = levels(found, site)
    list(found.prepare(site, [DEFAULT]))
    after = levels(found, site)

    assert before == {"nats": "ok", "nats stream": "failure"}
    assert after == {"nats": "ok", "nats replicas": "warning", "nats write": "ok"}


def test_a_server_that_is_away_is_a_failure_of_its_own(nats_server: NatsServer) -> None:
    found = plugin("nats")
    nats_server.stop()

    assert levels(found, site_of(found, {"servers": nats_server.url})) == {"nats": "failure"}


@pytest.fixture
def strict_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that lets its user publish to anything but one queue."""
    rules = tmp_path / "rules.conf"
    rules.write_text(
        'authorization { users = [ { user: "failsoft", password: "right", '
        'permissions: { publish: { deny: "bench-closed" } } } ] }'
    )
    with NatsServer(tmp_path, "-c", str(rules)) as server:
        yield server


def test_a_queue_that_the_user_may_not_publish_to_is_refused_soon_and_alone(
    strict_server: NatsServer,
) -> None:
    found, deadline = plugin("nats"), Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))
    settings = {"servers": strict_server.url, "user": "failsoft", "password": "right"}
    engine = found.build(site_of(found, settings))

    with closing(engine.caller):
        refused, elapsed = failure_of(
            lambda: engine.adapter.offer(new_message(), QueueProfile("closed"), deadline)
        )
        health = engine.adapter.probe(QueueProfile("closed"), deadline)
        engine.adapter.offer(new_message(), QUEUE, deadline)

    assert type(refused) is OfferRefusedError
    assert elapsed < timedelta(seconds=1)
    assert health.is_refused


def test_a_stream_that_is_deleted_is_missed_by_one_offer_and_made_by_the_next(
    nats_server: NatsServer,
) -> None:
    found, deadline = plugin("nats"), Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))
    site = site_of(found, {"servers": nats_server.url})
    engine = found.build(site)

    with closing(engine.caller):
        engine.adapter.offer(new_message(), QUEUE, deadline)
        asyncio.run(delete(nats_server, site.queue_name(QUEUE)))
        missed, _ = failure_of(lambda: engine.adapter.offer(new_message(), QUEUE, deadline))
        engine.adapter.offer(new_message(), QUEUE, deadline)

        assert type(missed) is OfferRefusedError
        assert engine.adapter.probe(QUEUE, deadline).backlog == 1


@pytest.mark.parametrize("consumer", ["", streams.CONSUMER])
def test_a_worker_goes_on_after_its_stream_or_its_consumer_was_deleted(
    bench: NatsBench, nats_server: NatsServer, consumer: str
) -> None:
    first, second = new_message(), new_message()
    offer_again_and_again(bench, first)
    arrived(bench, [first])

    asyncio.run(delete(nats_server, bench.name, consumer))
    wait_until(lambda: not bench.is_serving(), PATIENCE, "the worker has noticed")
    wait_until(bench.is_serving, PATIENCE, "the worker has made it again")
    offer_again_and_again(bench, second)

    arrived(bench, [first, second])


async def delete(server: NatsServer, stream: str, consumer: str = "") -> None:
    async with await nats.connect(server.url) as client:
        jetstream = client.jetstream()
        if consumer:
            await jetstream.delete_consumer(stream, consumer)
        else:
            await jetstream.delete_stream(stream)
