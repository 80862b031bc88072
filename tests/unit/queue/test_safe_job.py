"""Whatever stands in Redis, it leads to a message of ours or to nothing."""

import json
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis
from rq.serializers import JSONSerializer

from failsoft.engine_api import MessageRejectedError
from failsoft.queue import SafeJob
from failsoft.queue.safe_job import ENTRY_POINT, message_of

TEXTS = st.sampled_from(
    [ENTRY_POINT, "os.system", "builtins.eval", "subprocess.run", "", ENTRY_POINT + "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
CALLS = st.tuples(TEXTS | JSON, st.none() | JSON, st.lists(JSON, max_size=3) | JSON, JSON)
DATA = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(zlib.compress),
    CALLS.map(lambda call: zlib.compress(json.dumps(call).encode())),
    CALLS.map(lambda call: json.dumps(call).encode()),
)
FIELDS = st.sampled_from(
    [
        *("created_at", "enqueued_at", "ended_at", "started_at", "last_heartbeat", "status"),
        *("origin", "description", "worker_name", "timeout", "result_ttl", "failure_ttl", "ttl"),
        *("success_callback_name", "failure_callback_name", "stopped_callback_name", "meta"),
        *("dependency_ids", "retries_left", "retry_intervals", "repeats_left", "webhooks"),
        *("exc_info", "result", "serializer", "enqueue_at_front", "allow_dependency_failures"),
    ]
).map(str.encode)
VALUES = st.binary(max_size=40) | TEXTS.map(str.encode) | JSON.map(lambda v: json.dumps(v).encode())


def read(raw: dict[bytes, bytes]) -> Any:
    job = SafeJob("a-job", connection=Redis(), serializer=JSONSerializer)
    job.restore(raw)
    return job


@example(zlib.compress(json.dumps([ENTRY_POINT, None, [None], None]).encode()))
@example(b"[" * 4000)
@given(DATA)
def test_the_data_of_any_job_are_a_call_of_the_entry_point_or_refused(data: bytes) -> None:
    try:
        wire = message_of(data)
    except MessageRejectedError:
        return

    plain = zlib.decompress(data) if data[:1] == b"x" else data
    assert json.dumps(json.loads(plain)) == json.dumps([ENTRY_POINT, None, [wire], {}])


@given(DATA, st.dictionaries(FIELDS, VALUES, max_size=8))
def test_rq_gets_nothing_to_call_of_any_job(data: bytes, rest: dict[bytes, bytes]) -> None:
    try:
        job = read({b"data": data, **rest})
    except Exception:  # noqa: BLE001 - the worker deletes the job, whatever it was
        return

    with pytest.raises(MessageRejectedError):
        _ = job.func


@given(st.dictionaries(FIELDS, VALUES, max_size=12), JSON)
def test_nothing_of_a_genuine_looking_job_makes_rq_call_send_or_repeat_anything(
    rest: dict[bytes, bytes], wire: object
) -> None:
    data = zlib.compress(json.dumps([ENTRY_POINT, None, [wire], {}]).encode())
    try:
        job = read({b"data": data, **rest})
    except Exception:  # noqa: BLE001 - the worker deletes the job, whatever it was
        return

    callbacks = (job.success_callback, job.failure_callback, job.stopped_callback)
    assert callbacks == (None, None, None)
    assert (job.retries_left, job.repeats_left, job.timeout, job.result_ttl) == (None, None, -1, 0)
    assert not job._dependency_ids
    assert not job.webhooks


@pytest.mark.parametrize("size", [100_000, 10_000_000])
def test_a_job_that_unpacks_to_more_than_ours_is_not_unpacked(size: int) -> None:
    job = read({b"data": zlib.compress(b"[" * size)})

    assert len(job.data) < 100
