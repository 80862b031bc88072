"""Redis goes away at every moment that matters; the jobs run all the same, and once."""

from datetime import timedelta

import pytest

from failsoft.testing.engine_suite.stopwatch import Stopwatch
from tests.deployments.deployment import PATIENCE, Stage
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Act, in_child, in_thread
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

#: Long enough for a busy machine to reach the other engine within its half.
BUDGET, MARGIN = timedelta(seconds=1.8), timedelta(seconds=0.5)
BOTH_BROKERS = pytest.mark.parametrize("fallback_url", ["rabbitmq", "valkey"], indirect=True)

ON_FALLBACK = ("dramatiq", "offer", "accepted")


@BOTH_BROKERS
@pytest.mark.fault("F06")
def test_redis_killed_before_dispatch_costs_one_try_and_dramatiq_runs_the_jobs(
    stage: Stage, valkey: Valkey
) -> None:
    stage.workers("threads")
    valkey.kill()

    with Stopwatch() as watch:
        first = stage.dispatch(in_thread, budget=BUDGET)
    second = stage.dispatch(in_thread)
    stage.wait_for_ends()

    assert watch.elapsed < BUDGET + MARGIN
    assert stage.tries(first) == [("rq", "offer", "unavailable"), ON_FALLBACK]
    assert stage.tries(second) == [("rq", "breaker", "skipped"), ON_FALLBACK]
    assert stage.engines_told("engine.failed_over") == ["rq"]
    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")


def test_redis_killed_right_after_the_offer_takes_no_job_with_it(
    stage: Stage, valkey: Valkey
) -> None:
    rq, _ = stage.workers("threads")
    stage.freeze(rq)
    handle = stage.dispatch(in_thread)
    assert handle.dispatched.engine == "rq"

    valkey.kill()
    rq.process.thaw()
    stage.wait_for_ends()

    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")


@pytest.mark.fault("F04", "F07")
def test_redis_frozen_at_dispatch_delays_it_by_its_budget_and_the_late_message_is_refused(
    stage: Stage, valkey: Valkey
) -> None:
    rq, _ = stage.workers("threads")
    stage.dispatch(in_thread, engines=("dramatiq",))
    # Over a connection that Redis knows, what was sent is done by a late Redis, too.
    stage.app.dispatcher.dispatch(in_child, Act(), engines=("rq",)).cancel()
    stage.wait_for_ends()
    valkey.freeze()

    with Stopwatch() as watch:
        handle = stage.dispatch(in_thread, budget=BUDGET)
    valkey.thaw()
    wait_until(lambda: rq.told("message.refused"), PATIENCE, "the late message is refused")
    stage.wait_for_ends()

    assert watch.elapsed < BUDGET + MARGIN
    assert stage.tries(handle) == [("rq", "offer", "unknown"), ON_FALLBACK]
    assert [(each["job_id"], each["epoch"]) for each in rq.told("message.refused")] == [
        (handle.id, 1)
    ]
    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")


@pytest.mark.fault("F10")
def test_redis_wiped_with_200_jobs_queued_loses_none_of_them(stage: Stage, valkey: Valkey) -> None:
    handles = stage.dispatch_many(200, in_thread)
    assert {handle.dispatched.engine for handle in handles} == {"rq"}

    valkey.wipe()
    stage.workers("threads")
    stage.wait_for_ends(deadline=2 * PATIENCE)

    assert len(stage.witness.begun()) == 200
    assert_each_ran_once(stage)


@BOTH_BROKERS
@pytest.mark.fault("F09")
def test_redis_restarted_from_its_dump_starts_no_job_that_ran_elsewhere(
    stage: Stage, valkey: Valkey
) -> None:
    stage.dispatch_many(20, in_thread)
    dump = valkey.snapshot()
    valkey.kill()
    stage.wait_for(stage.worker("dramatiq", "threads"))
    stage.wait_for_ends()

    valkey.restore(dump)
    valkey.start()
    rq = stage.worker("rq", "threads")
    wait_until(lambda: len(rq.told("message.refused")) == 20, PATIENCE, "20 stale messages")

    assert {each["reason"] for each in rq.told("message.refused")} == {"stale"}
    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")
