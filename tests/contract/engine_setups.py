"""The benches that engines are tried on: the adapter, its server, and one real worker."""

import json
import secrets
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol, TypeVar

import dramatiq
import pika

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, Caller, DirectCaller
from failsoft.dispatcher.plugins.link import Link
from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.engines.dramatiq.messages import ACTOR, Inbox
from failsoft.engines.dramatiq.worker import ThreadWorker
from failsoft.engines.rq.adapter import RqEngine
from failsoft.engines.rq.worker import SlotWorker
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError, MessageRejectedError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineAdapter
from failsoft.job_engine.records.message import Message
from failsoft.queue import SafeJob, queue_name, rq_queue, shared_client
from failsoft.queue.safe_job import ENTRY_POINT
from failsoft.testing import MemoryEngine
from failsoft.worker.engines.port import EngineWorker
from tests.servers.processes import PATIENCE
from tests.servers.valkey import Valkey

T = TypeVar("T")

QUEUE = QueueProfile("bench", slots=4)
NAMESPACE = "bench"


class Server(Protocol):
    """What a bench may do to its server."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...

    @property
    def is_running(self) -> bool: ...


class Bench:
    """What all benches share: the processor, the count of strangers, the worker's thread."""

    foreign: Sequence[bytes] = ()
    queue = QUEUE

    def __init__(self, engine: EngineAdapter, caller: Caller, server: Server | None) -> None:
        self.engine = engine
        self._caller = caller
        self._server = server
        self._changed = threading.Condition()
        self._got: list[object] = []
        self._rejected = 0
        self._to_raise = 0
        self._stopping = threading.Event()
        self._worker: threading.Thread | None = None

    def build_worker(self) -> EngineWorker:
        raise NotImplementedError

    def plant(self, body: bytes) -> None:
        raise NotImplementedError

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        return self._caller.call(work, deadline)

    def received(self, count: int, timeout: timedelta) -> list[object]:
        if self._worker is None:
            run = self.build_worker().run
            self._worker = threading.Thread(target=run, args=(self._stopping,), daemon=True)
            self._worker.start()
        with self._changed:
            self._changed.wait_for(lambda: len(self._got) >= count, timeout.total_seconds())
            return list(self._got)

    def rejected(self) -> int:
        return self._rejected

    def process(self, wire: object) -> None:
        """Do what the admission does with a message before it claims."""
        try:
            Message.from_wire(wire)
        except MessageRejectedError as error:
            self.reject(error)
            return
        with self._changed:
            self._got.append(wire)
            self._changed.notify_all()
            self._to_raise -= 1
            if self._to_raise >= 0:
                raise RuntimeError("a processor that breaks")

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

    def close(self) -> None:
        """End the worker; over a server that works, for a dead one would keep it waiting."""
        if self._server is not None and self._server.is_running:
            self._server.thaw()
        elif self._server is not None:
            self._server.start()
        self._stopping.set()
        if self._worker is not None:
            self._worker.join(PATIENCE)
            assert not self._worker.is_alive(), f"expected the worker to end in {PATIENCE} s"

    def _need_server(self) -> Server:
        assert self._server is not None, "expected a bench with a server"
        return self._server


class MemoryBench(Bench):
    """No server: down and up instead of stop and start."""

    foreign = (b'{"func": "os.system", "args": ["true"]}',)

    def __init__(self) -> None:
        self.memory = MemoryEngine()
        super().__init__(self.memory, DirectCaller(), None)

    def received(self, count: int, timeout: timedelta) -> list[object]:
        while (message := self.memory.take(self.queue)) is not None:
            with suppress(RuntimeError):
                self.process(message.to_wire())
        return list(self._got)

    def rejected(self) -> int:
        return self.memory.rejected

    def plant(self, body: bytes) -> None:
        self.memory.plant(self.queue, body)

    def stop_server(self) -> None:
        self.memory.down()

    def start_server(self) -> None:
        self.memory.up()


class RqBench(Bench):
    """RQ on Valkey, with the worker that serves `isolation="thread"`."""

    foreign = tuple(
        zlib.compress(json.dumps(call).encode())
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
        self._url = server.url
        client = shared_client(server.url)
        super().__init__(RqEngine(client, NAMESPACE), BoundedCaller("rq", threads=8), server)
        self._client = client

    def build_worker(self) -> EngineWorker:
        client = shared_client(self._url, "rq-worker")
        return SlotWorker(
            rq_queue(QUEUE, client, NAMESPACE),
            self.process,
            name=f"bench-{secrets.token_hex(4)}",
            slots=QUEUE.slots,
            rejected=self.reject,
            stop_job=lambda job_id: None,
            link=Link(self._url),
        )

    def plant(self, body: bytes) -> None:
        job_id, queue = f"planted-{secrets.token_hex(4)}", rq_queue(QUEUE, self._client, NAMESPACE)
        fields = {"data": body, "created_at": "2026-01-01T00:00:00.000000Z", "origin": queue.name}
        self._client.hset(SafeJob.key_for(job_id), mapping=fields)
        self._client.rpush(queue.key, job_id)


class DramatiqBench(Bench):
    """Dramatiq on whatever broker the URL names, with Dramatiq's own worker."""

    def __init__(self, server: Server, url: str) -> None:
        self._url = url
        self._name = queue_name(QUEUE, NAMESPACE)
        self._broker = make_broker(url, NAMESPACE)
        adapter = DramatiqEngine(self._broker, NAMESPACE)
        caller = BoundedCaller("dramatiq", threads=1, idle=adapter.keep_alive)
        super().__init__(adapter, caller, server)

    @property
    def foreign(self) -> Sequence[bytes]:
        other = dramatiq.Message(self._name, "os.system", ("true",), {}, {})
        ours = other.copy(actor_name=ACTOR, args=({"v": 1},))
        several = other.copy(actor_name=ACTOR, args=({}, {}), kwargs={"wire": {}})
        follow_up = other.copy(options={"pipe_target": other.asdict(), "eta": 1})
        return [each.encode() for each in (other, ours, several, follow_up)]

    def build_worker(self) -> EngineWorker:
        link = Link(self._url)
        broker = make_broker(self._url, NAMESPACE, Inbox(self.reject, link))
        threads, grace = QUEUE.slots, timedelta(seconds=5)
        return ThreadWorker(
            broker,
            self._name,
            self.process,
            link=link,
            threads=threads,
            grace=grace,
        )

    def plant(self, body: bytes) -> None:
        plant = self._plant_in_rabbitmq if self._url.startswith("amqp") else self._plant_in_valkey
        plant(body)

    def close(self) -> None:
        super().close()
        forget = getattr(self._broker, "forget_connection", lambda: None)
        forget()
        with suppress(EngineError):  # a connection belongs to the thread that made it
            self.call(forget, Deadline.after(SystemClock(), timedelta(seconds=5)))

    def _plant_in_rabbitmq(self, body: bytes) -> None:
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            self._broker.declare_queue(self._name, ensure=True)
            connection.channel().basic_publish("", self._name, body)

    def _plant_in_valkey(self, body: bytes) -> None:
        client, message_id = shared_client(self._url), secrets.token_hex(8)
        client.hset(f"{NAMESPACE}:{self._name}.msgs", message_id, body)
        client.rpush(f"{NAMESPACE}:{self._name}", message_id)
