"""A client that can write to a broker can ring bells and nothing else: nothing of theirs runs."""

from pathlib import Path

import pika
import pytest

from failsoft.dispatcher import JobHandle
from tests.deployments.deployment import PATIENCE, Deployment, Worker
from tests.deployments.promises import assert_each_ran_once
from tests.integration.acceptance import hostile_messages
from tests.jobs.scripted import in_thread
from tests.servers.valkey import Valkey

QUEUE = "failsoft-threads"
#: In the place of an id.
NO_TEXT = b"\xff\xfe"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.mark.fault("F28")
def test_nothing_planted_in_rq_runs_and_its_worker_goes_on(
    deployment: Deployment, valkey: Valkey, canary: Path
) -> None:
    worker, done = a_worker_that_has_done_a_job(deployment, "rq")
    old = hostile_messages.replayed(deployment, done, "rq")
    bad = hostile_messages.rq_jobs(canary, old) | hostile_messages.rq_forgeries(
        hostile_messages.forged(deployment, done)
    )
    stale = {
        "stale": hostile_messages.rq_bell(old),
        "bad-dates": hostile_messages.rq_bad_dates(old),
    }

    with valkey.client() as client:
        for name, job in (bad | stale).items():
            hostile_messages.plant_in_rq(client, QUEUE, name, job)
        client.set("rq:job:no-hash", "a string")
        no_text = [part for field in bad["garbage"].items() for part in field]
        client.hset(b"rq:job:" + NO_TEXT, items=no_text)
        client.rpush(f"rq:queue:{QUEUE}", "no-hash", "nothing-at-all", NO_TEXT)

    assert_unharmed(
        deployment, worker, canary, rejected=len(bad) + len([NO_TEXT]), refused=len(stale)
    )


def test_no_command_that_rq_does_not_know_ends_its_worker(
    deployment: Deployment, valkey: Valkey, canary: Path
) -> None:
    worker, _ = a_worker_that_has_done_a_job(deployment, "rq")
    (live,) = deployment.app.ledger.live_workers()

    with valkey.client() as client:
        for command in (NO_TEXT, b"[]", b"{}", hostile_messages.pickled(canary)):
            client.publish(f"rq:pubsub:failsoft-{live.boot_id}", command)

    assert_unharmed(deployment, worker, canary, rejected=4, refused=0)


@pytest.mark.fault("F28")
def test_nothing_planted_in_rabbitmq_runs_and_its_worker_goes_on(
    deployment: Deployment, fallback_url: str, canary: Path
) -> None:
    worker, done = a_worker_that_has_done_a_job(deployment, "dramatiq")
    bodies = dramatiq_bodies(deployment, done, canary)

    with pika.BlockingConnection(pika.URLParameters(fallback_url)) as connection:
        channel = connection.channel()
        for body in bodies:
            channel.basic_publish("", QUEUE, body)

    assert_unharmed(deployment, worker, canary, rejected=len(bodies) - 2, refused=2)


@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
@pytest.mark.fault("F28")
def test_nothing_planted_in_dramatiqs_valkey_runs_and_its_worker_goes_on(
    deployment: Deployment, second_valkey: Valkey, canary: Path
) -> None:
    worker, done = a_worker_that_has_done_a_job(deployment, "dramatiq")
    bodies = dramatiq_bodies(deployment, done, canary)

    with second_valkey.client() as client:
        for number, body in enumerate(bodies):
            client.hset(f"failsoft:{QUEUE}.msgs", str(number), body)
            client.rpush(f"failsoft:{QUEUE}", number)
        client.rpush(f"failsoft:{QUEUE}", "nothing-at-all")

    assert_unharmed(deployment, worker, canary, rejected=len(bodies) - 2, refused=2)


def a_worker_that_has_done_a_job(
    deployment: Deployment, engine: str
) -> tuple[Worker, JobHandle[int]]:
    worker = deployment.worker(engine, "threads")
    deployment.wait_for(worker)
    handle = deployment.dispatch(in_thread)
    deployment.wait_for_ends()
    return worker, handle


def dramatiq_bodies(deployment: Deployment, done: JobHandle[int], canary: Path) -> list[bytes]:
    """Everything hostile; the last two carry a genuine message that is over."""
    old = hostile_messages.replayed(deployment, done, "dramatiq")
    return [
        *hostile_messages.dramatiq_bodies(canary).values(),
        *map(
            hostile_messages.dramatiq_envelope, hostile_messages.forged(deployment, done).values()
        ),
        hostile_messages.dramatiq_envelope(old),
        hostile_messages.dramatiq_envelope(old, eta=hostile_messages.FAR_AWAY),
    ]


def assert_unharmed(
    deployment: Deployment, worker: Worker, canary: Path, *, rejected: int, refused: int
) -> None:
    """The good job after the bad ones runs; each bad one is counted, and none ran."""
    good = deployment.dispatch(in_thread)
    deployment.wait_for_ends(good)
    assert worker.process.is_running
    # What was counted instead of logged is logged at the end.
    assert worker.process.terminate(PATIENCE) == 0

    # A busy machine may offer the good job again; the offer before is refused then, too.
    offered_again = good.job().epoch - 1
    assert 0 <= worker.count("message.refused") - refused <= offered_again
    assert worker.count("message.rejected") == rejected
    assert not canary.exists()
    assert_each_ran_once(deployment)
