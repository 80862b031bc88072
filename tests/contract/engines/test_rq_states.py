"""What a worker of ours leaves in Redis in each state of a job, beside what RQ's own worker leaves.

Both serve a queue of the same name on an empty server, and run a job that was enqueued in the same
way. Every key is compared: its type, its value up to ids, moments and addresses, and when it
expires.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.command import send_stop_job_command
from rq.scripts import save_unique_job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import BaseWorker

from failsoft.engine_api import Link
from failsoft.engines.rq.worker import SlotWorker
from failsoft.queue import new_job, rq_queue
from failsoft.queue.safe_job import ENTRY_POINT
from failsoft.testing.engine_kit.bench import NAMESPACE, QUEUE, post_of
from failsoft.testing.engine_suite.bench import new_message
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

JOB = "a-job"
#: What only RQ's own worker leaves, and why.
ONLY_STOCK: Mapping[str, str] = MappingProxyType(
    {"rq:clean_groups": "no job of ours is in a group, so none is looked after"}
)
#: How long they expire after depends on the last heartbeat of the worker, which RQ's own makes
#: around each job, and ours every ten seconds.
BY_HEARTBEAT = ("rq:worker:W", "rq:worker:W:executions")

MASKS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b1\d{9}\.\d+"), "EPOCH"),
    (re.compile(r"\b1\d{12}-0"), "STREAM"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "EXECUTION"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"^\d+\.\d+(e-\d+)?$"), "SECONDS"),
)
#: The call, which names other code in each, and the traceback of it.
OPAQUE = frozenset({"data", "exc_string"})
#: To how many seconds expiries are compared: both are written at their own moment.
COARSE = 30

State = Mapping[str, Any]


class Gate:
    """What the job does: it waits, and then fails or not."""

    def __init__(self) -> None:
        self.reached, self.opens, self.fails = threading.Event(), threading.Event(), False
        #: Whether the worker has obeyed a stop command.
        self.stopped: Callable[[], bool] = lambda: False
        #: Called as it begins.
        self.begins: Callable[[], None] = lambda: None

    def __call__(self, wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        claimed()
        self.begins()
        self.reached.set()
        assert self.opens.wait(PATIENCE)
        if self.fails:
            raise RuntimeError("a job that fails")


GATES: list[Gate] = []


def perform(wire: object) -> None:
    """Run in RQ's own worker what ours runs as its processor."""
    GATES[-1](wire)


class Stock(SimpleWorker):
    """RQ's own worker in a thread, with the heartbeats of `Worker`."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        """Leave them: they would need the main thread."""

    def get_heartbeat_ttl(self, *args: Any, **kwargs: Any) -> int:
        return BaseWorker.get_heartbeat_ttl(self, *args, **kwargs)


@contextmanager
def stock(client: Redis) -> Iterator[str]:
    """Run RQ's own worker; yield its name."""
    queue = Queue(queue_of(client).name, connection=client, serializer=JSONSerializer)
    worker = Stock([queue], connection=client, serializer=JSONSerializer, worker_ttl=60)
    GATES[-1].stopped = lambda: worker._stopped_job_id == JOB
    thread = threading.Thread(target=worker.work, daemon=True)
    thread.start()
    yield worker.name
    # It looks for the request after a job and before one: within the last it misses none.
    GATES[-1].begins = lambda: setattr(worker, "_stop_requested", True)
    run_the_last(client, f"{__name__}.perform")
    thread.join(PATIENCE)


@contextmanager
def ours(client: Redis) -> Iterator[str]:
    """Run a worker of ours; yield its name."""
    stopping, stopped = threading.Event(), list[str]()
    GATES[-1].stopped = lambda: stopped == [JOB]
    post = replace(post_of(GATES[-1], lambda error: None), stop_job=stopped.append)
    worker = SlotWorker(queue_of(client), post, Link("Redis"))
    thread = threading.Thread(target=worker.run, args=(stopping,), daemon=True)
    thread.start()
    yield worker.name
    run_the_last(client, ENTRY_POINT)
    stopping.set()
    thread.join(PATIENCE)


KINDS = {ENTRY_POINT: ours, f"{__name__}.perform": stock}


def queue_of(client: Redis) -> Queue:
    return rq_queue(QUEUE, client, NAMESPACE)


def enqueue(client: Redis, job_id: str, function: str) -> None:
    queue = queue_of(client)
    job = new_job(job_id, new_message(job_id).to_wire(), queue)
    job.func_name = function
    # What `Queue.enqueue_job(job, unique=True)` does; of ours, the worker notes the queue's name.
    client.sadd(Queue.redis_queues_keys, queue.key)
    save_unique_job(client, queue.key, job)


def run_the_last(client: Redis, function: str) -> None:
    """Let a worker run one more job, which succeeds."""
    GATES[-1].fails = False
    GATES[-1].opens.set()
    enqueue(client, "the-last", function)
    wait_until(lambda: not client.exists("rq:job:the-last"), PATIENCE, "the last has ended")


def states(valkey: Valkey, function: str, how: str) -> dict[str, State]:
    """Return what stands in Redis while a job waits, while it runs, and after it ended."""
    valkey.wipe()
    GATES.append(Gate())
    gate = GATES[-1]
    found: dict[str, State] = {}
    with Redis.from_url(valkey.url) as client:
        enqueue(client, JOB, function)
        found["queued"] = snapshot(client, "nobody")
        with KINDS[function](client) as name:
            assert gate.reached.wait(PATIENCE)
            wait_until(lambda: client.hget(f"rq:job:{JOB}", "started_at"), PATIENCE, "it runs")
            found["started"] = snapshot(client, name)
            if how == "stopped":
                send_stop_job_command(client, JOB, serializer=JSONSerializer)
                wait_until(gate.stopped, PATIENCE, "the command was obeyed")
            gate.fails = how == "failed" or (how == "stopped" and KINDS[function] is stock)
            gate.opens.set()
            idle = lambda: client.hget(f"rq:worker:{name}", "state") == b"idle"  # noqa: E731
            wait_until(idle, PATIENCE, "the worker is idle")
            found[how] = snapshot(client, name)
    with Redis.from_url(valkey.url) as client:
        found["left"] = snapshot(client, name)
    return found


def snapshot(client: Redis, worker: str) -> State:
    """Return every key with its value and its expiry, masked."""

    def masked(text: str) -> str:
        text = text.replace(worker, "W")
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        return text

    found: dict[str, Any] = {}
    for key in client.scan_iter():
        name = masked(key.decode())
        ttl = client.ttl(key)
        expires = "some time" if name in BY_HEARTBEAT and ttl > 0 else round(ttl / COARSE)
        found[name] = (read(client, key, masked), expires)
    return {name: each for name, each in found.items() if name not in ONLY_STOCK}


def read(client: Redis, key: bytes, masked: Callable[[str], str]) -> Any:
    """Return the value of a key, masked."""
    text = lambda value: masked(value.decode(errors="replace"))  # noqa: E731
    kind = client.type(key).decode()
    if kind == "hash":
        pairs = client.hgetall(key).items()
        return {
            name.decode(): "" if name.decode() in OPAQUE else text(value) for name, value in pairs
        }
    if kind == "zset":
        now = time.time()
        members = client.zrange(key, 0, -1, withscores=True)
        return {text(each): round((score - now) / COARSE) for each, score in members}
    if kind == "stream":
        return [
            {n.decode(): "" if n.decode() in OPAQUE else text(v) for n, v in fields.items()}
            for _, fields in client.xrange(key)
        ]
    if kind == "set":
        return {text(each) for each in client.smembers(key)}
    if kind == "list":
        return [text(each) for each in client.lrange(key, 0, -1)]
    return text(client.get(key))


@pytest.mark.parametrize("how", ["finished", "failed", "stopped"])
def test_every_key_is_what_rqs_own_worker_leaves(valkey: Valkey, how: str) -> None:
    of_ours, of_stock = (states(valkey, function, how) for function in KINDS)

    assert of_ours.keys() == of_stock.keys()
    for state, found in of_stock.items():
        assert of_ours[state] == found, state
