"""Redis goes away at every moment that matters; the jobs run all the same, and once."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.evacuation import KNOWN_DEAD
from failsoft.testing.engine_suite.stopwatch import Stopwatch
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

#: Long enough for a busy machine to reach the other engine within its half.
BUDGET, MARGIN = timedelta(seconds=1.8), timedelta(seconds=0.5)
BOTH_BROKERS = pytest.mark.parametrize("fallback_url", ["rabbitmq", "valkey"], indirect=True)

ON_FALLBACK = ("dramatiq", "offer", "accepted")


@BOTH_BROKERS
@pytest.mark.fault("F06")
def test_redis_killed_before_dispatch_costs_one_try_and_dramatiq_runs_the_jobs(
    deployment: Deployment, valkey: Valkey
) -> None:
    deployment.workers("threads")
    valkey.kill()

    with Stopwatch() as watch:
        first = deployment.dispatch(in_thread, budget=BUDGET)
    second = deployment.dispatch(in_thread)
    deployment.wait_for_ends()

    assert watch.elapsed < BUDGET + MARGIN
    assert deployment.tries(first) == [("rq", "offer", "unavailable"), ON_FALLBACK]
    assert deployment.tries(second) == [("rq", "breaker", "skipped"), ON_FALLBACK]
    assert deployment.engines_of("engine.failed_over") == ["rq"]
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


def test_redis_killed_right_after_the_offer_takes_no_job_with_it(
    deployment: Deployment, valkey: Valkey
) -> None:
    rq, _ = deployment.workers("threads")
    deployment.freeze(rq)
    handle = deployment.dispatch(in_thread)
    assert handle.dispatched.engine == "rq"

    valkey.kill()
    rq.process.thaw()
    deployment.wait_for_ends()

    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


@pytest.mark.fault("F04", "F07")
def test_redis_frozen_at_dispatch_delays_it_by_its_budget_and_the_late_message_is_refused(
    deployment: Deployment, valkey: Valkey
) -> None:
    rq, _ = deployment.workers("threads")
    deployment.dispatch(in_thread, engines=("dramatiq",))
    # Over a connection that Redis knows, what was sent is done by a late Redis, too.
    deployment.app.dispatcher.dispatch(in_child, Script(), engines=("rq",)).cancel()
    deployment.wait_for_ends()
    valkey.freeze()

    with Stopwatch() as watch:
        handle = deployment.dispatch(in_thread, budget=BUDGET)
    valkey.thaw()
    wait_until(lambda: rq.logged("message.refused"), PATIENCE, "the late message is refused")
    deployment.wait_for_ends()

    assert watch.elapsed < BUDGET + MARGIN
    assert deployment.tries(handle) == [("rq", "offer", "unknown"), ON_FALLBACK]
    assert [(each["job_id"], each["epoch"]) for each in rq.logged("message.refused")] == [
        (handle.id, 1)
    ]
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


@pytest.mark.fault("F10")
def test_redis_wiped_with_200_jobs_queued_loses_none_of_them(
    deployment: Deployment, valkey: Valkey
) -> None:
    handles = deployment.dispatch_many(200, in_thread)
    assert {handle.dispatched.engine for handle in handles} == {"rq"}

    valkey.wipe()
    deployment.workers("threads")
    deployment.wait_for_ends(deadline=2 * PATIENCE)

    assert len(deployment.effect_log.begun()) == 200
    assert_each_ran_once(deployment)


@BOTH_BROKERS
@pytest.mark.fault("F09")
def test_redis_restarted_from_its_dump_starts_no_job_that_ran_elsewhere(
    deployment: Deployment, valkey: Valkey
) -> None:
    deployment.dispatch_many(20, in_thread)
    dump = valkey.snapshot()
    valkey.kill()
    deployment.wait_for(deployment.worker("dramatiq", "threads"))
    deployment.wait_for_ends()

    valkey.restore(dump)
    valkey.start()
    rq = deployment.worker("rq", "threads")
    wait_until(lambda: len(rq.logged("message.refused")) == 20, PATIENCE, "20 stale messages")

    assert {each["reason"] for each in rq.logged("message.refused")} == {"stale"}
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


@pytest.mark.long
@pytest.mark.fault("F06", "F30")
def test_redis_killed_with_1000_jobs_queued_hands_all_of_them_over_before_their_deadline(
    deployment: Deployment, valkey: Valkey
) -> None:
    # A pretended worker lets offers be made to RQ, and takes none of them.
    deployment.pretend("rq", "threads")
    deployment.wait_for(deployment.worker("dramatiq", "threads"))
    handles = deployment.dispatch_many(1000, in_thread, engines=("rq", "dramatiq"))
    assert {handle.dispatched.engine for handle in handles} == {"rq"}

    valkey.kill()
    deployment.wait_for_ends(deadline=2 * PATIENCE)

    moves = [event for each in handles for event in deployment.app.ledger.events(each.id)[1:2]]
    assert {(move.kind, move.detail["from"], move.detail["reason"]) for move in moves} == {
        ("reoffer", "rq", KNOWN_DEAD)
    }
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")
