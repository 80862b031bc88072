"""The fallback is down, both are, or only the fallback is wanted."""

from collections.abc import Callable

import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, Stage
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Act, in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey


@pytest.fixture
def road_to_rabbitmq(
    rabbitmq: RabbitMQ, amqp_url: str, proxy_to: Callable[[int], TcpProxy]
) -> TcpProxy:
    """Refuses connections much sooner than a node boots again."""
    return proxy_to(rabbitmq.port)


@pytest.fixture
def fallback_url(rabbitmq: RabbitMQ, amqp_url: str, road_to_rabbitmq: TcpProxy) -> str:
    return amqp_url.replace(f":{rabbitmq.port}/", f":{road_to_rabbitmq.port}/")


def test_everything_runs_on_rq_while_rabbitmq_is_down(
    stage: Stage, road_to_rabbitmq: TcpProxy
) -> None:
    stage.workers("threads")
    road_to_rabbitmq.refuse()

    handles = stage.dispatch_many(10, in_thread)
    stage.wait_for_ends()

    assert stage.tries(handles[0]) == [("rq", "offer", "accepted")]
    assert stage.engines_told("engine.failed_over") == []
    assert_each_ran_once(stage)
    assert_all_on(stage, "rq")


@pytest.mark.parametrize("returning", ["rq", "dramatiq"])
@pytest.mark.fault("F13")
def test_jobs_dispatched_while_both_brokers_are_down_wait_for_whichever_returns(
    stage: Stage, valkey: Valkey, road_to_rabbitmq: TcpProxy, returning: str
) -> None:
    stage.workers("threads")
    valkey.kill()
    road_to_rabbitmq.refuse()

    handles = stage.dispatch_many(5, in_thread)
    assert {stage.state(handle.id) for handle in handles} == {JobState.SCHEDULED}
    {"rq": valkey.start, "dramatiq": road_to_rabbitmq.heal}[returning]()
    stage.wait_for_ends()

    assert "park" in stage.kinds(handles[0])
    assert_each_ran_once(stage)
    assert_all_on(stage, returning)


@pytest.mark.parametrize(("lost", "left"), [("rq", "dramatiq"), ("dramatiq", "rq")])
def test_a_job_that_sleeps_while_its_engine_is_lost_wakes_on_the_other(
    stage: Stage, valkey: Valkey, road_to_rabbitmq: TcpProxy, *, lost: str, left: str
) -> None:
    stage.workers("threads")
    handle = stage.dispatch(in_thread, Act(steps=2, nap=1), engines=(lost, left))
    wait_until(lambda: "suspend" in stage.kinds(handle), PATIENCE, "the job sleeps")

    {"rq": valkey.kill, "dramatiq": road_to_rabbitmq.refuse}[lost]()
    stage.wait_for_ends()

    assert stage.state(handle.id) is JobState.SUCCEEDED
    assert handle.job().engine == left
    assert handle.job().errors == 0
    assert_each_ran_once(stage)


def test_without_rq_every_job_goes_straight_to_dramatiq(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, valkey: Valkey
) -> None:
    environment.setenv("USE_RQ", "false")
    stage: Stage = request.getfixturevalue("stage")
    stage.wait_for(stage.worker("dramatiq", "threads"))

    handles = stage.dispatch_many(5, in_thread)
    stage.wait_for_ends()

    assert stage.tries(handles[0]) == [("rq", "flag", "skipped"), ("dramatiq", "offer", "accepted")]
    assert valkey.keys() == set()
    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")
