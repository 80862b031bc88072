"""F07, F08 and F31: a Redis that falls silent, that takes no writes, and that comes and goes."""

from collections.abc import Callable
from time import monotonic

import pytest

from failsoft.dispatcher.maintenance.rescuer import MAX_HANDOFFS
from tests.deployments.deployment import PATIENCE, Stage
from tests.deployments.promises import assert_all_on, assert_each_ran_once, assert_promises_kept
from tests.faults.support import ON_SQLITE, by_road, let_pass
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.valkey import Valkey

ON_FALLBACK = ("dramatiq", "offer", "accepted")


@pytest.fixture
def addresses(
    addresses: dict[str, str], valkey: Valkey, road_to_valkey: TcpProxy
) -> dict[str, str]:
    redis = by_road(valkey.url, valkey.port, road_to_valkey)
    return {**addresses, "FAILSOFT_REDIS_URL": redis}


@pytest.mark.fault("F07")
@ON_SQLITE
def test_a_redis_that_falls_silent_without_a_word_costs_one_try(
    stage: Stage, valkey: Valkey, road_to_valkey: TcpProxy
) -> None:
    rq = stage.worker("rq", "threads", FAILSOFT_REDIS_URL=valkey.url)
    stage.wait_for(rq, stage.worker("dramatiq", "threads"))
    stage.wait_for_ends(stage.dispatch(in_thread))
    road_to_valkey.half_open()
    road_to_valkey.blackhole()

    silent, skipped = stage.dispatch(in_thread), stage.dispatch(in_thread)
    stage.wait_for_ends()

    assert stage.tries(silent) == [("rq", "offer", "unknown"), ON_FALLBACK]
    assert stage.tries(skipped) == [("rq", "breaker", "skipped"), ON_FALLBACK]
    assert stage.engines_told("engine.failed_over") == ["rq"]
    assert_each_ran_once(stage)


@pytest.mark.fault("F08")
@ON_SQLITE
def test_a_redis_that_answers_and_takes_no_writes_is_passed_over(
    stage: Stage, valkey: Valkey, second_valkey: Valkey
) -> None:
    stage.workers("threads")

    for number, (break_, mend) in enumerate(unwilling(valkey, second_valkey), start=1):
        break_()
        handle = stage.dispatch(in_thread)
        stage.wait_for_ends(handle)
        assert stage.tries(handle) == [("rq", "offer", "refused"), ON_FALLBACK]
        mend()
        back = lambda n=number: len(stage.engines_told("engine.failed_back")) == n  # noqa: E731
        wait_until(back, PATIENCE, "RQ is back")

    assert_promises_kept(stage)
    assert_all_on(stage, "dramatiq")


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
    stage: Stage, valkey: Valkey, seconds: float, period: float
) -> None:
    stage.workers("threads")

    began = monotonic()
    while monotonic() - began < seconds:
        valkey.kill()
        stage.dispatch_many(3, in_thread)
        let_pass(period)
        valkey.start()
        stage.dispatch_many(3, in_thread)
        let_pass(period)
    stage.wait_for_ends(deadline=2 * PATIENCE)

    assert max(each.job().handoffs for each in stage.handles) <= MAX_HANDOFFS
    assert_promises_kept(stage)
