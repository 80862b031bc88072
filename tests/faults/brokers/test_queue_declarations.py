"""Queues of RabbitMQ that were declared in another way are served; what one drops is made again."""

from datetime import timedelta
from typing import Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from failsoft.job_engine.errors import ConfigurationError
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_promises_kept
from tests.faults.support import ON_SQLITE
from tests.jobs.scripted import in_child, in_thread
from tests.servers.processes import wait_until

QUEUE = "failsoft-threads"
ON_RABBITMQ = pytest.mark.parametrize("fallback_url", ["rabbitmq"], indirect=True)
QUORUM = {"x-queue-type": "quorum"}
#: What an administrator may declare our queue with.
DECLARED: dict[str, dict[str, Any]] = {
    "quorum": QUORUM,
    "plain": {},
    "bounded": {"x-max-length": 1000, "x-overflow": "reject-publish"},
    "expiring": {"x-message-ttl": 3_600_000, "x-expires": 3_600_000},
}


def declare(url: str, **arguments: Any) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_declare(QUEUE, durable=True, arguments=arguments)


@ON_SQLITE
@ON_RABBITMQ
@pytest.mark.fault("F53")
@pytest.mark.parametrize("arguments", DECLARED.values(), ids=DECLARED)
def test_a_queue_that_was_declared_in_another_way_is_served(
    deployment: Deployment, fallback_url: str, arguments: dict[str, Any]
) -> None:
    declare(fallback_url, **arguments)

    # However long the worker takes to begin: no offer is made again.
    pickup = timedelta(seconds=PATIENCE)
    handles = deployment.dispatch_many(3, in_thread, engines=("dramatiq",), pickup=pickup)
    assert [deployment.tries(each)[0][2] for each in handles] == ["accepted"] * 3
    worker = deployment.worker("dramatiq", "threads")
    deployment.wait_for_ends()

    assert [each.job().epoch for each in handles] == [1, 1, 1]
    assert worker.process.terminate(PATIENCE) == 0
    assert_promises_kept(deployment)


@ON_SQLITE
@ON_RABBITMQ
@pytest.mark.fault("F53")
def test_what_a_delivery_limit_drops_is_offered_again(
    deployment: Deployment, fallback_url: str
) -> None:
    declare(fallback_url, **QUORUM, **{"x-delivery-limit": 1})
    handle = deployment.dispatch(in_thread, engines=("dramatiq",), pickup=timedelta(seconds=2))

    # Every consumer that takes the message dies with it, until the broker drops it.
    returned(fallback_url, times=2)
    worker = deployment.worker("dramatiq", "threads")
    deployment.wait_for_ends()

    assert handle.job().epoch > 1
    assert worker.process.is_running
    assert_promises_kept(deployment)


@ON_SQLITE
@ON_RABBITMQ
@pytest.mark.fault("F53")
def test_a_queue_that_is_full_refuses_an_offer_and_the_job_waits_for_room(
    deployment: Deployment, fallback_url: str
) -> None:
    declare(fallback_url, **{"x-max-length": 1, "x-overflow": "reject-publish"})

    handles = deployment.dispatch_many(
        3, in_thread, engines=("dramatiq",), pickup=timedelta(seconds=2)
    )
    outcomes = [deployment.tries(each)[0][2] for each in handles]
    worker = deployment.worker("dramatiq", "threads")
    deployment.wait_for_ends(deadline=2 * PATIENCE)

    assert outcomes[0] == "accepted"
    assert "refused" in outcomes
    assert worker.process.is_running
    assert_promises_kept(deployment)


@ON_SQLITE
@ON_RABBITMQ
@pytest.mark.fault("F55")
def test_a_queue_that_is_full_takes_rabbitmq_from_no_other_queue(
    deployment: Deployment, fallback_url: str
) -> None:
    declare(fallback_url, **{"x-max-length": 1, "x-overflow": "reject-publish"})
    full = deployment.dispatch_many(4, in_thread, engines=("dramatiq",))

    others = deployment.dispatch_many(3, in_child, engines=("dramatiq",))

    assert [deployment.tries(each)[0][2] for each in full[:2]] == ["accepted", "refused"]
    assert [deployment.tries(each)[0] for each in others] == [("dramatiq", "offer", "accepted")] * 3
    assert deployment.engines_of("engine.failed_over") == []
    assert deployment.engines_of("engine.queue_refused") == ["dramatiq"]
    workers = [deployment.worker("dramatiq", queue) for queue in ("threads", "children")]
    deployment.wait_for_ends(deadline=2 * PATIENCE)
    assert all(worker.process.is_running for worker in workers)
    assert_promises_kept(deployment)


@pytest.mark.fault("F53")
def test_a_stream_is_refused_with_what_to_do(amqp_url: str) -> None:
    declare(amqp_url, **{"x-queue-type": "stream"})

    with pytest.raises(ConfigurationError, match=r"stream.*delete it"):
        SafeRabbitmqBroker(amqp_url).check(QUEUE)


def test_what_differs_of_a_queue_can_be_reported(amqp_url: str) -> None:
    broker = SafeRabbitmqBroker(amqp_url)
    broker.check(QUEUE)
    assert broker.differences(QUEUE) == ""
    broker.close()

    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_delete(QUEUE)
    declare(amqp_url, **QUORUM)

    broker = SafeRabbitmqBroker(amqp_url)
    assert "inequivalent arg" in broker.differences(QUEUE)
    broker.close()


def test_quorum_queues_are_declared_where_the_settings_name_them(amqp_url: str) -> None:
    broker = SafeRabbitmqBroker(amqp_url, queue_type="quorum")
    broker.check(QUEUE)
    assert broker.differences(QUEUE) == ""
    assert broker.probe(QUEUE).backlog == 0
    broker.close()

    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        with pytest.raises(ChannelClosedByBroker, match=r"x-queue-type.*current is.*quorum"):
            channel.queue_declare(f"{QUEUE}.XQ", durable=True)


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_classic_queue_is_refused_with_what_to_do_where_the_settings_name_quorum_queues(
    amqp_url: str, is_ours: bool
) -> None:
    if is_ours:
        former = SafeRabbitmqBroker(amqp_url)
        former.check(QUEUE)
        former.close()
    else:
        declare(amqp_url)
    broker = SafeRabbitmqBroker(amqp_url, queue_type="quorum")

    with pytest.raises(ConfigurationError, match=r"quorum queue.*delete_queue"):
        broker.check(QUEUE)

    assert not broker.probe(QUEUE).healthy
    assert broker.probe(QUEUE).is_refused
    broker.close()


def returned(url: str, times: int) -> None:
    """Take what waits and give it back unacknowledged, as a consumer that dies does."""
    for _ in range(times):
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            wait_until(lambda c=channel: c.basic_get(QUEUE)[0], PATIENCE, "a message is taken")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        gone = lambda: not channel.queue_declare(QUEUE, passive=True).method.message_count  # noqa: E731
        wait_until(gone, PATIENCE, "the message is dropped")
