"""The benches that engines are tried on: the adapter, its server, and one real worker."""

import json
import secrets
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dramatiq
import pika

from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import (
    AnyPlugin,
    AnySite,
)
from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.engines.dramatiq.messages import ACTOR
from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from failsoft.engines.dramatiq.settings import QueueType
from failsoft.queue import SafeJob, rq_queue, shared_client
from failsoft.queue.safe_job import ENTRY_POINT
from failsoft.testing import ForeignMessage, MemoryEngine
from failsoft.testing.engine_kit import Bench, PluginBench, Server, site_of
from failsoft.testing.engine_kit.bench import NAMESPACE, QUEUE, post_of
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

__all__ = [
    "NAMESPACE",
    "QUEUE",
    "ROOT",
    "DramatiqBench",
    "MemoryBench",
    "PluginBench",
    "RqBench",
    "Server",
    "SlowMemoryBench",
    "levels",
    "post_of",
    "site_of",
]

ROOT = Path(__file__).parents[3]
#: How long a slow worker takes to come up, in seconds.
SLOW_START = 1.2


class MemoryBench(Bench):
    """No server: down and up instead of stop and start."""

    foreign = (ForeignMessage(b'{"func": "os.system", "args": ["true"]}'),)

    def __init__(self) -> None:
        self.memory = MemoryEngine()
        super().__init__(self.memory, DirectCaller(), None)

    def ready(self) -> None:
        self.received(0, timedelta())

    def received(self, count: int, timeout: timedelta) -> list[object]:
        while (message := self.memory.take(self.queue)) is not None:
            with suppress(RuntimeError):
                self.process(message.to_wire())
        return list(self._got)

    def rejected(self) -> int:
        return self.memory.rejected

    def plant(self, message: ForeignMessage) -> None:
        self.memory.plant(self.queue, message.body)

    def stop_server(self) -> None:
        self.memory.down()

    def start_server(self) -> None:
        self.memory.up()


class SlowMemoryBench(MemoryBench):
    """A worker that needs a while to come up, longer than the suite takes for silence."""

    def __init__(self) -> None:
        super().__init__()
        self._up_at: float | None = None

    def ready(self) -> None:
        wait_until(self._is_up, PATIENCE, "the worker is up")

    def received(self, count: int, timeout: timedelta) -> list[object]:
        ends = time.monotonic() + timeout.total_seconds()
        while True:
            got = super().received(count, timeout) if self._is_up() else []
            if len(got) >= count or time.monotonic() >= ends:
                return got
            time.sleep(0.01)

    def _is_up(self) -> bool:
        self._up_at = self._up_at or time.monotonic() + SLOW_START
        return time.monotonic() >= self._up_at


def levels(plugin: AnyPlugin, site: AnySite) -> dict[str, str]:
    """Return how well each thing is that `doctor` looks at, with time on a busy machine."""
    patient = replace(site, answer_within=timedelta(seconds=5))
    found = [finding for check in plugin.checks(patient) for finding in check.look()]
    return {each.check: str(each.level) for each in found}


class RqBench(PluginBench):
    """RQ on Valkey, with the worker that serves `isolation="thread"`."""

    # Its commands wait five seconds for an answer of Redis, and two of them may be under way.
    grace = timedelta(seconds=15)

    foreign = tuple(
        ForeignMessage(zlib.compress(json.dumps(call).encode()))
        for call in (
            ["os.system", None, ["true"], {}],
            ["builtins.eval", None, ["1"], {}],
            [ENTRY_POINT, "an instance", [], {}],
            [ENTRY_POINT, None, [], {"wire": {}}],
            [ENTRY_POINT, None, [{"v": 1}], {}],
            [ENTRY_POINT, None, [1, 2], {}],
        )
    )

    def __init__(self, server: Valkey) -> None:
        super().__init__(plugin("rq"), server, redis_url=server.url)
        self._client = shared_client(server.url)

    def plant(self, message: ForeignMessage) -> None:
        job_id, queue = f"planted-{secrets.token_hex(4)}", rq_queue(QUEUE, self._client, NAMESPACE)
        fields = {
            "data": message.body,
            "created_at": "2026-01-01T00:00:00.000000Z",
            "origin": queue.name,
        }
        self._client.hset(SafeJob.key_for(job_id), mapping=fields)
        self._client.rpush(queue.key, job_id)


class DramatiqBench(PluginBench):
    """Dramatiq on whatever broker the URL names, with Dramatiq's own worker."""

    def __init__(self, server: Server, url: str, queue_type: QueueType = "classic") -> None:
        self._url, self._type = url, queue_type
        super().__init__(plugin("dramatiq"), server, amqp_url=url, queue_type=queue_type)

    def close(self) -> None:
        super().close()
        if isinstance(self.engine, DramatiqEngine):
            # Tests probe in this thread, whose connection no caller closes.
            self.engine.disconnect()

    @property
    def foreign(self) -> Sequence[ForeignMessage]:
        other = dramatiq.Message(self.name, "os.system", ("true",), {}, {})
        ours = other.copy(actor_name=ACTOR, args=({"v": 1},))
        several = other.copy(actor_name=ACTOR, args=({}, {}), kwargs={"wire": {}})
        follow_up = other.copy(options={"pipe_target": other.asdict(), "eta": 1})
        return [ForeignMessage(each.encode()) for each in (other, ours, several, follow_up)]

    def plant(self, message: ForeignMessage) -> None:
        plant = self._plant_in_rabbitmq if self._url.startswith("amqp") else self._plant_in_valkey
        plant(message.body)

    def _plant_in_rabbitmq(self, body: bytes) -> None:
        broker = make_broker(self._url, NAMESPACE, queue_type=self._type)
        assert isinstance(broker, SafeRabbitmqBroker)
        broker.declare_queue(self.name, ensure=True)
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            connection.channel().basic_publish("", self.name, body)
        broker.close()

    def _plant_in_valkey(self, body: bytes) -> None:
        client, message_id = shared_client(self._url), secrets.token_hex(8)
        client.hset(f"{NAMESPACE}:{self.name}.msgs", message_id, body)
        client.rpush(f"{NAMESPACE}:{self.name}", message_id)
