"""Values of many megabytes that a stranger plants cost a worker next to no memory."""

from pathlib import Path

import pika
import pytest

from tests.deployments.deployment import PATIENCE, Deployment, Worker
from tests.deployments.promises import assert_each_ran_once
from tests.faults.support import ON_SQLITE
from tests.integration.acceptance.hostile_messages import rq_hash
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

pytestmark = ON_SQLITE

QUEUE = "failsoft-threads"
MEGABYTE = 1024 * 1024
HUGE = b"x" * (64 * MEGABYTE)
#: By how much the peak of a worker may grow: what its own work needs, and not one of the values.
MOST_GROWTH = 24 * MEGABYTE


def peak(worker: Worker) -> int:
    """The most memory that a process has ever had, in bytes."""
    for line in Path(f"/proc/{worker.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("expected VmHWM, got a status without it")


def a_worker_that_has_done_a_job(deployment: Deployment, engine: str) -> tuple[Worker, int]:
    worker = deployment.worker(engine, "threads")
    deployment.wait_for(worker)
    deployment.dispatch(in_thread)
    deployment.wait_for_ends()
    return worker, peak(worker)


def assert_unharmed(deployment: Deployment, worker: Worker, before: int, rejected: int) -> None:
    """It runs a job after them, has counted each, and has read none."""
    good = deployment.dispatch(in_thread, engines=(deployment.app.ledger.live_workers()[0].engine,))
    deployment.wait_for_ends(good, deadline=2 * PATIENCE)

    grown = peak(worker) - before
    assert worker.process.terminate(PATIENCE) == 0
    assert worker.count("message.rejected") >= rejected
    assert grown < MOST_GROWTH, f"expected less than {MOST_GROWTH}, got {grown}"
    assert_each_ran_once(deployment)


@pytest.mark.fault("F49")
def test_nothing_huge_in_rqs_redis_is_read(deployment: Deployment, valkey: Valkey) -> None:
    worker, before = a_worker_that_has_done_a_job(deployment, "rq")
    (live,) = deployment.app.ledger.live_workers()

    with valkey.client() as client:
        client.hset("rq:job:huge", mapping=rq_hash(HUGE))
        client.hset("rq:job:huge-text", mapping=rq_hash(b"", description=HUGE))
        client.hset("rq:job:many", mapping={str(n): "x" * 100 for n in range(20_000)})
        client.rpush(f"rq:queue:{QUEUE}", "huge", "huge-text", "many", HUGE)
        client.publish(f"rq:pubsub:failsoft-{live.boot_id}", HUGE)

    assert_unharmed(deployment, worker, before, rejected=4)
    assert not {"rq:job:huge", "rq:job:huge-text"} & valkey.keys()
    assert not {f"rq:queue:{QUEUE}", f"rq:queue:{QUEUE}:intermediate"} & valkey.keys()


@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
@pytest.mark.fault("F49")
def test_nothing_huge_in_dramatiqs_redis_is_read(
    deployment: Deployment, second_valkey: Valkey
) -> None:
    worker, before = a_worker_that_has_done_a_job(deployment, "dramatiq")

    with second_valkey.client() as client:
        client.hset(f"failsoft:{QUEUE}.msgs", "huge", HUGE)
        client.rpush(f"failsoft:{QUEUE}", "huge", HUGE[: 4 * MEGABYTE])

    assert_unharmed(deployment, worker, before, rejected=2)
    assert second_valkey.command("HLEN", f"failsoft:{QUEUE}.msgs") == 0


@pytest.mark.parametrize("fallback_url", ["rabbitmq"], indirect=True)
@pytest.mark.fault("F49")
def test_nothing_huge_in_rabbitmq_is_kept(deployment: Deployment, fallback_url: str) -> None:
    worker, before = a_worker_that_has_done_a_job(deployment, "dramatiq")

    with pika.BlockingConnection(pika.URLParameters(fallback_url)) as connection:
        channel = connection.channel()
        for _ in range(2):
            channel.basic_publish("", QUEUE, HUGE)
        wait_until(
            lambda: not channel.queue_declare(QUEUE, passive=True).method.message_count,
            PATIENCE,
            "the huge messages are delivered",
        )

    assert_unharmed(deployment, worker, before, rejected=2)
