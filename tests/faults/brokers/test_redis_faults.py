"""F07, F08 and F31: a Redis that falls silent, that takes no writes, and that comes and goes."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic

import pytest

from failsoft.dispatcher.maintenance.evacuation import MAX_HANDOFFS
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_all_on, assert_each_ran_once, assert_promises_kept
from tests.faults.support import ON_SQLITE, let_pass, through_proxy
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.valkey import Valkey

ON_FALLBACK = ("dramatiq", "offer", "accepted")


@pytest.fixture
def addresses(
    addresses: dict[str, str], valkey: Valkey, proxy_to_valkey: TcpProxy
) -> dict[str, str]:
    redis = through_proxy(valkey.url, valkey.port, proxy_to_valkey)
    return {**addresses, "FAILSOFT_REDIS_URL": redis}


@pytest.mark.fault("F07")
@ON_SQLITE
def test_a_redis_that_falls_silent_without_a_word_costs_one_try(
    deployment: Deployment, valkey: Valkey, proxy_to_valkey: TcpProxy
) -> None:
    rq = deployment.worker("rq", "threads", FAILSOFT_REDIS_URL=valkey.url)
    deployment.wait_for(rq, deployment.worker("dramatiq", "threads"))
    deployment.wait_for_ends(deployment.dispatch(in_thread))
    proxy_to_valkey.half_open()
    proxy_to_valkey.blackhole()

    silent, skipped = deployment.dispatch(in_thread), deployment.dispatch(in_thread)
    deployment.wait_for_ends()

    assert deployment.tries(silent) == [("rq", "offer", "unknown"), ON_FALLBACK]
    assert deployment.tries(skipped) == [("rq", "breaker", "skipped"), ON_FALLBACK]
    assert deployment.engines_of("engine.failed_over") == ["rq"]
    assert_each_ran_once(deployment)


@pytest.mark.fault("F08")
@ON_SQLITE
def test_a_redis_that_answers_and_takes_no_writes_is_passed_over(
    deployment: Deployment, valkey: Valkey, second_valkey: Valkey
) -> None:
    deployment.workers("threads")

    for number, (break_, mend) in enumerate(unwilling(valkey, second_valkey), start=1):
        break_()
        # As long as a test waits: on a busy machine RabbitMQ may take longer than the usual budget.
        handle = deployment.dispatch(in_thread, budget=timedelta(seconds=PATIENCE))
        deployment.wait_for_ends(handle)
        assert deployment.tries(handle) == [("rq", "offer", "refused"), ON_FALLBACK]
        mend()
        back = lambda n=number: len(deployment.engines_of("engine.failed_back")) == n  # noqa: E731
        wait_until(back, PATIENCE, "RQ is back")

    assert_promises_kept(deployment)
    assert_all_on(deployment, "dramatiq")


Change = Callable[[], object]


def unwilling(valkey: Valkey, primary: Valkey) -> list[tuple[Change, Change]]:
    """Ways to break a server that answers PING all the while, and to mend it."""
    return [
        (lambda: valkey.out_of_memory(on=True), lambda: valkey.out_of_memory(on=False)),
        (lambda: valkey.replica_of(primary), valkey.replica_of_nobody),
        (lambda: refuse_as_after_a_failed_save(valkey), lambda: allow_writes(valkey)),
    ]


def refuse_as_after_a_failed_save(valkey: Valkey) -> None:
    valkey.config_set("min-replicas-to-write", 1)


def allow_writes(valkey: Valkey) -> None:
    valkey.config_set("min-replicas-to-write", 0)


@pytest.mark.fault("F31")
@ON_SQLITE
@pytest.mark.parametrize(
    ("seconds", "period"),
    [
        pytest.param(3, 0.5, id="3s"),
        pytest.param(300, 2, id="5min", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_a_redis_that_comes_and_goes_moves_no_job_without_end(
    deployment: Deployment, valkey: Valkey, seconds: float, period: float
) -> None:
    deployment.workers("threads")

    began = monotonic()
    while monotonic() - began < seconds:
        valkey.kill()
        deployment.dispatch_many(3, in_thread)
        let_pass(period)
        valkey.start()
        deployment.dispatch_many(3, in_thread)
        let_pass(period)
    deployment.wait_for_ends(deadline=2 * PATIENCE)

    assert max(each.job().handoffs for each in deployment.handles) <= MAX_HANDOFFS
    assert_promises_kept(deployment)
