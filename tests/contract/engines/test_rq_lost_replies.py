"""RQ-04: no reply of Redis that is lost loses a job, and none runs twice for it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from failsoft.job_engine.crash_points import HOOKS
from failsoft.testing.engine_suite.bench import arrived, eventually, new_message, offer
from tests.contract.engines.engine_setups import NAMESPACE, RqBench
from tests.servers.valkey import Valkey

QUEUE = f"{NAMESPACE}-bench"
STARTED, WAITING = f"rq:wip:{QUEUE}", f"rq:queue:{QUEUE}"


@pytest.fixture
def bench(valkey: Valkey) -> Iterator[RqBench]:
    with closing(RqBench(valkey)) as bench:
        yield bench


@contextmanager
def losing(point: str, when: Valkey | None = None) -> Iterator[list[str]]:
    """Lose one reply at a point, once a script has something to lose."""
    lost: list[str] = []

    def reached(name: str) -> None:
        if name == point and not lost and (when is None or when.command("ZCARD", STARTED)):
            lost.append(name)
            raise RedisConnectionError("a lost reply")

    HOOKS.append(reached)
    try:
        yield lost
    finally:
        HOOKS.remove(reached)


def test_jobs_whose_take_was_not_answered_run_in_their_order(
    bench: RqBench, valkey: Valkey
) -> None:
    messages = [new_message() for _ in range(3)]
    for each in messages:
        offer(bench, each)

    with losing("take.after", valkey) as lost:
        found = arrived(bench, messages)

    assert lost == ["take.after"]
    assert sorted(found, key=messages.index) == messages
    assert_nothing_left(valkey)


def test_jobs_whose_end_was_not_answered_are_counted_once(bench: RqBench, valkey: Valkey) -> None:
    messages = [new_message() for _ in range(3)]
    for each in messages:
        offer(bench, each)

    with losing("ack.after") as lost:
        arrived(bench, messages)
        eventually(lambda: not valkey.command("ZCARD", STARTED), "all have ended")

    assert lost == ["ack.after"]
    assert_nothing_left(valkey)
    (worker,) = (key for key in valkey.keys() if key.startswith("rq:worker:failsoft-"))  # noqa: SIM118 - a server's
    eventually(lambda: valkey.command("HGET", worker, "state") == b"idle", "the worker is idle")
    assert valkey.command("HGET", worker, "successful_job_count") == b"3"


def test_what_was_taken_as_the_worker_was_to_stop_is_the_next_workers(
    bench: RqBench, valkey: Valkey
) -> None:
    message = new_message()
    offer(bench, message)
    HOOKS.append(lambda name: bench.stop_worker() if name == "take.after" else None)
    try:
        bench.received(0, bench.grace)
        eventually(bench.has_stopped, "the worker has ended")
    finally:
        HOOKS.pop()

    assert valkey.command("LLEN", WAITING) == 1
    assert_nothing_left(valkey)
    assert arrived(bench, [message]) == [message]


def assert_nothing_left(valkey: Valkey) -> None:
    """No registry has a job that does not run."""
    eventually(lambda: not valkey.command("ZCARD", STARTED), "no job is registered as running")
    left = {key for key in valkey.keys() if key.startswith("rq:execution")}  # noqa: SIM118 - a server's
    assert left == set()
