"""F05, F11, F12, F19 and F20: RabbitMQ falls silent, refuses, forgets, and delivers again."""

from datetime import timedelta
from pathlib import Path

import pika
import pytest

from tests.deployments.deployment import PATIENCE, Deployment, Worker
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.faults.support import ON_SQLITE, through_proxy
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

QUEUE = "failsoft-threads"
TO_RABBITMQ_FIRST = ("dramatiq", "rq")
#: The rescuers leave the offer alone for so long.
LATER = timedelta(minutes=1)
pytestmark = ON_SQLITE


@pytest.fixture
def fallback_url(rabbitmq: RabbitMQ, amqp_url: str, proxy_to_rabbitmq: TcpProxy) -> str:
    """The dispatcher's way; workers may take the direct one."""
    return through_proxy(amqp_url, rabbitmq.port, proxy_to_rabbitmq)


@pytest.mark.fault("F05")
def test_a_message_whose_confirm_was_lost_is_refused_where_it_arrives(
    deployment: Deployment, amqp_url: str, proxy_to_rabbitmq: TcpProxy
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads"))
    dramatiq = direct_worker(deployment, amqp_url)
    deployment.freeze(dramatiq)
    assert deployment.app.engines.probe("dramatiq", in_thread.queue).healthy
    proxy_to_rabbitmq.swallow_replies()

    # Later than the dispatcher gives up: no rescuer is to be quicker.
    handle = deployment.dispatch(in_thread, engines=TO_RABBITMQ_FIRST, pickup=LATER)
    deployment.wait_for_ends()
    dramatiq.process.thaw()
    wait_until(lambda: dramatiq.logged("message.refused"), PATIENCE, "the message is refused")

    assert deployment.tries(handle)[-2:] == [
        ("dramatiq", "offer", "unknown"),
        ("rq", "offer", "accepted"),
    ]
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "rq")


@pytest.mark.fault("F05")
def test_six_copies_of_a_message_run_the_job_once(deployment: Deployment, amqp_url: str) -> None:
    handle = deployment.dispatch(in_thread, engines=("dramatiq",), pickup=LATER)
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        _, _, body = channel.basic_get(QUEUE, auto_ack=True)
        for _ in range(6):
            channel.basic_publish("", QUEUE, body)

    worker = direct_worker(deployment, amqp_url)
    wait_until(lambda: len(worker.logged("message.refused")) == 5, PATIENCE, "five are refused")
    deployment.wait_for_ends()

    assert handle.job().claims == 1
    assert_each_ran_once(deployment)


@pytest.mark.fault("F11")
def test_a_rabbitmq_that_blocks_or_hangs_sends_jobs_back_to_rq(
    deployment: Deployment, rabbitmq: RabbitMQ
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads"))
    faults = (
        (lambda: rabbitmq.memory_alarm(on=True), lambda: rabbitmq.memory_alarm(on=False)),
        (lambda: rabbitmq.disk_alarm(on=True), lambda: rabbitmq.disk_alarm(on=False)),
        (rabbitmq.freeze, rabbitmq.thaw),
    )

    for number, (break_, mend) in enumerate(faults, start=1):
        break_()
        handle = deployment.dispatch(in_thread, engines=TO_RABBITMQ_FIRST)
        alone = deployment.dispatch(in_thread, engines=("dramatiq",))
        deployment.wait_for_ends(handle)
        assert not alone.job().state.is_terminal
        alone.cancel()
        mend()
        back = lambda n=number: len(deployment.engines_of("engine.failed_back")) == n  # noqa: E731
        wait_until(back, PATIENCE, "RabbitMQ is back")

    ran = {handle.id for handle in deployment.handles[::2]}
    assert deployment.effect_log.jobs() == ran
    assert {line.engine for line in deployment.effect_log.lines()} == {"rq"}


@pytest.mark.fault("F12")
def test_what_rabbitmq_lost_with_a_queue_a_vhost_or_a_crash_is_offered_again(
    deployment: Deployment, rabbitmq: RabbitMQ, amqp_url: str, valkey: Valkey
) -> None:
    vhost = amqp_url.rpartition("/")[2]
    valkey.kill()
    deployment.dispatch_many(3, in_thread, engines=("dramatiq",))
    assert rabbitmq.delete_queue(QUEUE, vhost=vhost) == 3
    deployment.dispatch_many(3, in_thread, engines=("dramatiq",))
    rabbitmq.delete_vhost(vhost)
    rabbitmq.add_vhost(vhost)
    deployment.dispatch_many(3, in_thread, engines=("dramatiq",))
    rabbitmq.kill()
    rabbitmq.start()

    direct_worker(deployment, amqp_url)
    deployment.wait_for_ends(deadline=2 * PATIENCE)

    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


@pytest.mark.fault("F19")
def test_a_worker_that_lost_its_broker_finishes_its_job_and_the_redelivery_is_refused(
    deployment: Deployment, amqp_url: str, proxy_to_rabbitmq: TcpProxy, gate: Path
) -> None:
    deployment.wait_for(deployment.worker("dramatiq", "threads"))
    handle = deployment.dispatch(
        in_thread, Script(halt_at=1, gate=str(gate)), engines=("dramatiq",)
    )
    deployment.wait_for_step(handle, "step-1")
    other = direct_worker(deployment, amqp_url)

    proxy_to_rabbitmq.refuse()
    wait_until(lambda: other.logged("message.refused"), PATIENCE, "the redelivery is refused")
    gate.touch()
    deployment.wait_for_ends()

    assert handle.job().claims == 1
    assert_each_ran_once(deployment)


@pytest.mark.fault("F20")
def test_a_delivery_that_rabbitmq_takes_back_meanwhile_is_refused(
    deployment: Deployment, rabbitmq: RabbitMQ, amqp_url: str, gate: Path
) -> None:
    rabbitmq.consumer_timeout(1000)
    worker = direct_worker(deployment, amqp_url)
    handle = deployment.dispatch(
        in_thread, Script(halt_at=1, gate=str(gate)), engines=("dramatiq",)
    )
    deployment.wait_for_step(handle, "step-1")

    wait_until(lambda: worker.logged("message.refused"), PATIENCE, "the redelivery is refused")
    gate.touch()
    deployment.wait_for_ends()

    assert handle.job().claims == 1
    assert_each_ran_once(deployment)


def direct_worker(deployment: Deployment, amqp_url: str) -> Worker:
    """Start a worker of Dramatiq that no fault of the dispatcher's proxy reaches."""
    worker = deployment.worker("dramatiq", "threads", FAILSOFT_AMQP_URL=amqp_url)
    deployment.wait_for(worker)
    return worker
