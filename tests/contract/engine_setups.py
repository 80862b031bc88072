"""The benches that engines are tried on: the adapter, its server, and one real worker."""

import json
import logging
import os
import secrets
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import dramatiq
import pika

from failsoft.dispatcher.offering.bounded_caller import Caller, DirectCaller
from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import (
    AnyPlugin,
    AnySite,
    EngineSite,
    EngineWorker,
    WorkerPost,
)
from failsoft.dispatcher.plugins.plugin import Process as ProcessMessage
from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.engines.dramatiq.messages import ACTOR
from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from failsoft.engines.dramatiq.settings import QueueType
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineAdapter
from failsoft.job_engine.records.message import Message
from failsoft.queue import SafeJob, rq_queue, shared_client
from failsoft.queue.safe_job import ENTRY_POINT
from failsoft.testing import ForeignMessage, MemoryEngine
from failsoft.testing.engine_suite.bench import new_message, offer
from failsoft.worker.engine_sites import NoOffers
from tests.servers.processes import PATIENCE, Process, wait_until
from tests.servers.valkey import Valkey

T = TypeVar("T")

QUEUE = QueueProfile("bench", slots=4)
NAMESPACE = "bench"
#: How long a worker may take to end, once no attempt runs.
GRACE = timedelta(seconds=5)
#: How long a slow worker takes to come up, in seconds.
SLOW_START = 1.2
ROOT = Path(__file__).parents[2]


class Server(Protocol):
    """What a bench may do to its server."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...

    @property
    def is_running(self) -> bool: ...


class Bench:
    """What all benches share: the processor and its ledger, and the worker's thread."""

    foreign: Sequence[ForeignMessage] = ()
    queue = QUEUE
    grace = GRACE

    def __init__(self, engine: EngineAdapter, caller: Caller, server: Server | None) -> None:
        self.engine = engine
        self._caller = caller
        self._server = server
        self._changed = threading.Condition()
        self._got: list[object] = []
        self._keeps = True
        self._rejected = self._to_raise = self._to_hold = 0
        self._deciding = self._running = self._most_running = self._finished = 0
        self._is_ledger_there, self._lets_go = True, False
        self._worker: EngineWorker | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def build_worker(self) -> EngineWorker:
        raise NotImplementedError

    def plant(self, message: ForeignMessage) -> None:
        raise NotImplementedError

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        return self._caller.call(work, deadline)

    def ready(self) -> None:
        self._start()
        wait_until(self.is_serving, PATIENCE, "the worker serves")

    def received(self, count: int, timeout: timedelta) -> list[object]:
        self._start()
        with self._changed:
            self._changed.wait_for(lambda: len(self._got) >= count, timeout.total_seconds())
            return list(self._got)

    def rejected(self) -> int:
        return self._rejected

    def process(self, wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        """Do what the admission does with a message, and then run an attempt that does nothing."""
        try:
            Message.from_wire(wire)
        except MessageRejectedError as error:
            self.reject(error)
            claimed()
            return
        if not self._decide(wire):
            return
        claimed()
        with self._changed:
            self._to_raise -= 1
            if self._to_raise >= 0:
                raise RuntimeError("a processor that breaks")
        self._attempt()

    def break_processor(self, times: int = 1) -> None:
        self._to_raise = times

    def reject(self, error: MessageRejectedError) -> None:
        with self._changed:
            self._rejected += 1

    def stop_server(self) -> None:
        self._need_server().stop()

    def start_server(self) -> None:
        self._need_server().start()

    def freeze_server(self) -> None:
        self._need_server().freeze()

    def thaw_server(self) -> None:
        self._need_server().thaw()

    def is_serving(self) -> bool:
        return self._worker is not None and self._worker.is_serving()

    def stop_worker(self) -> None:
        self._stopping.set()

    def has_stopped(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return False
        self._worker = self._thread = None
        return True

    def take_ledger_away(self) -> None:
        self._is_ledger_there = False

    def bring_ledger_back(self) -> None:
        with self._changed:
            self._is_ledger_there = True
            self._changed.notify_all()

    def deciding(self) -> int:
        return self._deciding

    def hold_attempts(self, first: int | None = None) -> None:
        self._to_hold, self._lets_go = (sys.maxsize if first is None else first), False

    def let_go(self) -> None:
        with self._changed:
            self._to_hold, self._lets_go = 0, True
            self._changed.notify_all()

    def running(self) -> int:
        return self._running

    def most_running(self) -> int:
        return self._most_running

    def finished(self) -> int:
        return self._finished

    def keep_nothing(self) -> None:
        self._keeps = False

    def close(self) -> None:
        """End the worker; over a server that works, for a dead one would keep it waiting."""
        if self._server is not None and self._server.is_running:
            self._server.thaw()
        elif self._server is not None:
            self._server.start()
        self.stop_worker()
        self.let_go()
        wait_until(self.has_stopped, PATIENCE, "the worker has ended")
        self._caller.close()

    def _start(self) -> None:
        if self._thread is None or self.has_stopped():
            self._stopping = threading.Event()
            self._worker = self.build_worker()
            self._thread = threading.Thread(
                target=self._worker.run, args=(self._stopping,), daemon=True
            )
            self._thread.start()

    def _decide(self, wire: object) -> bool:
        """Claim; False where the ledger is away until the worker stops."""
        with self._changed:
            self._deciding += 1
            while not self._is_ledger_there and not self._stopping.is_set():
                self._changed.wait(0.05)
            self._deciding -= 1
            if not self._is_ledger_there:
                return False
            if self._keeps:
                self._got.append(wire)
            self._changed.notify_all()
            return True

    def _attempt(self) -> None:
        with self._changed:
            self._running += 1
            self._most_running = max(self._running, self._most_running)
            if self._to_hold > 0:
                self._to_hold -= 1
                self._changed.wait_for(lambda: self._lets_go)
            self._running -= 1
            self._finished += 1

    def _need_server(self) -> Server:
        assert self._server is not None, "expected a bench with a server"
        return self._server


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


class PluginBench(Bench):
    """A plug-in: both halves as the product builds them."""

    def __init__(self, plugin: AnyPlugin, server: Server, **settings: Any) -> None:
        self._plugin, self._settings = plugin, settings
        for logger, level in plugin.loggers.items():
            # As in a worker process: a test keeps each line that is logged.
            logging.getLogger(logger).setLevel(level)
        self.site: AnySite = site_of(plugin, settings)
        engine = plugin.build(self.site)
        super().__init__(engine.adapter, engine.caller, server)
        self.name = self.site.queue_name(self.queue)

    def build_worker(self) -> EngineWorker:
        return self._plugin.build_worker(self.site, post_of(self.process, self.reject))

    def claim_and_die(self) -> None:
        given = json.dumps(self._settings)
        command = (sys.executable, "-m", "tests.contract.hanging_worker", self._plugin.kind, given)
        with TemporaryDirectory() as folder:
            log = Path(folder) / "worker.log"
            with Process(*command, log=log, cwd=ROOT) as process:
                process.wait_for_output("claimed")
                wait_until(self._is_acknowledged, PATIENCE, "what was claimed is acknowledged")

    def _is_acknowledged(self) -> bool:
        deadline = Deadline.after(SystemClock(), timedelta(seconds=1))
        return not self.engine.probe(self.queue, deadline).backlog


def offer_from_a_child(bench: PluginBench) -> Message:
    """Let a forked child of this process offer a message through the same adapter."""
    message = new_message()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads is forked
        child = os.fork()
    if child == 0:
        try:
            offer(bench, message)
        finally:
            # An exit in order would end the parent's servers.
            os._exit(0)
    wait_until(lambda: os.waitpid(child, os.WNOHANG) != (0, 0), PATIENCE, "the child has ended")
    return message


def site_of(plugin: AnyPlugin, settings: Mapping[str, Any]) -> AnySite:
    """Return an engine with settings, on the bench's namespace."""
    variables = {name: name.upper() for name in plugin.settings.model_fields}
    return EngineSite(plugin.kind, plugin.settings(**settings), NAMESPACE, NoOffers(), variables)


def levels(plugin: AnyPlugin, site: AnySite) -> dict[str, str]:
    """Return how well each thing is that `doctor` looks at."""
    found = [finding for check in plugin.checks(site) for finding in check.look()]
    return {each.check: str(each.level) for each in found}


def post_of(process: ProcessMessage, reject: Callable[[MessageRejectedError], None]) -> WorkerPost:
    """Return the place of a worker that serves the bench's queue."""
    return WorkerPost(
        queue=QUEUE,
        slots=QUEUE.slots,
        boot_id=f"bench-{secrets.token_hex(4)}",
        grace=GRACE,
        clock=SystemClock(),
        process=process,
        reject=reject,
        stop_job=lambda job_id: None,
    )


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
