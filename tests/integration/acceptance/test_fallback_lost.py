"""The fallback is down, both are, or only the fallback is wanted."""

from collections.abc import Callable

import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey


@pytest.fixture
def proxy_to_rabbitmq(
    rabbitmq: RabbitMQ, amqp_url: str, proxy_to: Callable[[int], TcpProxy]
) -> TcpProxy:
    """Refuses connections much sooner than a node boots again."""
    return proxy_to(rabbitmq.port)


@pytest.fixture
def fallback_url(rabbitmq: RabbitMQ, amqp_url: str, proxy_to_rabbitmq: TcpProxy) -> str:
    return amqp_url.replace(f":{rabbitmq.port}/", f":{proxy_to_rabbitmq.port}/")


def test_everything_runs_on_rq_while_rabbitmq_is_down(
    deployment: Deployment, proxy_to_rabbitmq: TcpProxy
) -> None:
    deployment.workers("threads")
    proxy_to_rabbitmq.refuse()

    handles = deployment.dispatch_many(10, in_thread)
    deployment.wait_for_ends()

    assert deployment.tries(handles[0]) == [("rq", "offer", "accepted")]
    assert deployment.engines_of("engine.failed_over") == []
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "rq")


@pytest.mark.parametrize("returning", ["rq", "dramatiq"])
@pytest.mark.fault("F13")
def test_jobs_dispatched_while_both_brokers_are_down_wait_for_whichever_returns(
    deployment: Deployment, valkey: Valkey, proxy_to_rabbitmq: TcpProxy, returning: str
) -> None:
    deployment.workers("threads")
    valkey.kill()
    proxy_to_rabbitmq.refuse()

    handles = deployment.dispatch_many(5, in_thread)
    assert {deployment.state(handle.id) for handle in handles} == {JobState.SCHEDULED}
    {"rq": valkey.start, "dramatiq": proxy_to_rabbitmq.heal}[returning]()
    deployment.wait_for_ends()

    assert "park" in deployment.kinds(handles[0])
    assert_each_ran_once(deployment)
    assert_all_on(deployment, returning)


@pytest.mark.parametrize(("lost", "left"), [("rq", "dramatiq"), ("dramatiq", "rq")])
def test_a_job_that_sleeps_while_its_engine_is_lost_wakes_on_the_other(
    deployment: Deployment, valkey: Valkey, proxy_to_rabbitmq: TcpProxy, *, lost: str, left: str
) -> None:
    deployment.workers("threads")
    handle = deployment.dispatch(in_thread, Script(steps=2, nap=1), engines=(lost, left))
    wait_until(lambda: "suspend" in deployment.kinds(handle), PATIENCE, "the job sleeps")

    {"rq": valkey.kill, "dramatiq": proxy_to_rabbitmq.refuse}[lost]()
    deployment.wait_for_ends()

    assert deployment.state(handle.id) is JobState.SUCCEEDED
    assert handle.job().engine == left
    assert handle.job().errors == 0
    assert_each_ran_once(deployment)


def test_without_rq_every_job_goes_straight_to_dramatiq(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, valkey: Valkey
) -> None:
    environment.setenv("USE_RQ", "false")
    deployment: Deployment = request.getfixturevalue("deployment")
    deployment.wait_for(deployment.worker("dramatiq", "threads"))

    handles = deployment.dispatch_many(5, in_thread)
    deployment.wait_for_ends()

    assert deployment.tries(handles[0]) == [
        ("rq", "flag", "skipped"),
        ("dramatiq", "offer", "accepted"),
    ]
    assert valkey.keys() == set()
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")
