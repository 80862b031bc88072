"""Envelopes of Dramatiq's that look like ours and come from a client that writes to its Redis."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta

import pytest

from failsoft.engine_api import queue_name
from failsoft.engines.dramatiq.messages import encode, pack
from failsoft.job_engine.records.message import Message
from failsoft.testing.engine_suite.bench import ForeignMessage, new_message, offer
from tests.contract.engines.engine_setups import QUEUE, DramatiqBench
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

ARRIVAL = timedelta(seconds=PATIENCE)


@pytest.fixture
def bench(second_valkey: Valkey) -> Iterator[DramatiqBench]:
    with closing(DramatiqBench(second_valkey, second_valkey.url)) as bench:
        yield bench


OPTIONS: Mapping[str, Mapping[str, object]] = {
    "no id": {},
    "null id": {"redis_message_id": None},
    "another id": {"redis_message_id": "another"},
    "an id that is no text": {"redis_message_id": "\ud800"},
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_forged_envelope_leaves_every_thread_of_the_worker_alive(
    bench: DramatiqBench, kind: str
) -> None:
    for _ in range(QUEUE.slots + 1):
        bench.plant(ForeignMessage(_forged(new_message(), OPTIONS[kind])))
    good = new_message()
    offer(bench, good)

    received = bench.received(QUEUE.slots + 2, ARRIVAL)

    assert good in [Message.from_wire(wire) for wire in received]


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_forged_envelope_does_not_stay_on_the_books(
    bench: DramatiqBench, second_valkey: Valkey, kind: str
) -> None:
    bench.plant(ForeignMessage(_forged(new_message(), OPTIONS[kind])))
    good = new_message()
    offer(bench, good)

    bench.received(2, ARRIVAL)

    wait_until(lambda: not _on_the_books(second_valkey), PATIENCE, "nothing is left on the books")


def _on_the_books(server: Valkey) -> set[str]:
    keys = server.keys()
    return {key for key in keys if "__acks__" in key or key.endswith(".msgs")}


def _forged(message: Message, options: Mapping[str, object]) -> bytes:
    envelope = json.loads(encode(pack(message, queue_name(QUEUE, "bench"))))
    return json.dumps(envelope | {"options": options}).encode()
