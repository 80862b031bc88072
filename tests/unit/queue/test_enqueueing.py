"""The request that enqueues a job, made from a template: the same as what RQ itself sends."""

import json
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from rq.job import Job
from rq.scripts import save_unique_job
from rq.serializers import JSONSerializer

from failsoft.engine_api import DEFAULT
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.records.message import Message
from failsoft.queue import new_job, rq_queue, shared_client
from failsoft.queue.embedded_valkey import EmbeddedValkey
from failsoft.queue.enqueueing import LOAD_SCRIPT, EnqueueTemplate
from failsoft.queue.ready_connections import ReadyConnections
from failsoft.queue.safe_job import MAX_DATA_BYTES, packed
from tests.unit.support.attempts import HOUR

WIRE = Message(2, "0193a-B_c", 7, "kid12345", "ab" * 32).to_wire()
TIMES = (b"created_at", b"enqueued_at")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Redis]:
    with EmbeddedValkey(tmp_path) as server:
        yield shared_client(server.url, "tests")


def kept(client: Redis, message_id: str) -> dict[bytes, bytes]:
    found: Any = client.hgetall(f"rq:job:{message_id}")
    return dict(found)


def unpacked(data: bytes) -> object:
    return json.loads(zlib.decompress(data))


def test_what_is_stored_is_what_the_installed_rq_stores(client: Redis) -> None:
    queue, ready = rq_queue(DEFAULT, client, "shop"), ReadyConnections(client)
    save_unique_job(client, queue.key, new_job("shop_one-7", WIRE, queue))
    theirs = kept(client, "shop_one-7")
    client.flushdb()

    request = EnqueueTemplate(queue).request("shop_one-7", WIRE)
    ready.exchange(ready.connect(), [request], Deadline.after(SystemClock(), HOUR))

    ours = kept(client, "shop_one-7")
    assert unpacked(ours.pop(b"data")) == unpacked(theirs.pop(b"data"))
    moments = [(ours.pop(name), theirs.pop(name)) for name in TIMES]
    assert ours == theirs
    assert client.lrange(queue.key, 0, -1) == [b"shop_one-7"]
    assert Job.fetch("shop_one-7", client, JSONSerializer).args == [WIRE]
    for our, their in moments:
        earlier, later = (
            datetime.strptime(each.decode(), "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - RQ's form
            for each in (their, our)
        )
        assert earlier <= later


@given(st.binary(max_size=MAX_DATA_BYTES))
def test_data_is_packed_as_by_zlib_at_its_level_0(data: bytes) -> None:
    assert packed(data) == zlib.compress(data, 0)


def test_a_server_that_has_forgotten_the_script_is_sent_it(client: Redis) -> None:
    queue, ready = rq_queue(DEFAULT, client, "shop"), ReadyConnections(client)
    request = EnqueueTemplate(queue).request("shop_one-7", WIRE)
    deadline = Deadline.after(SystemClock(), HOUR)
    client.script_flush()

    replies = [ready.evaluate(ready.connect(), request, LOAD_SCRIPT, deadline) for _ in range(2)]

    assert replies == [1, 0]
    assert client.llen(queue.key) == 1
