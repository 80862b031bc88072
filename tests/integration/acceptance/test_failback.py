"""RQ gets its jobs back when it can be trusted again, and keeps those it is merely slow with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.deployments.deployment import PATIENCE, Deployment, Worker
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Script, in_thread, one_by_one
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

#: Longer than a worker lets Redis be silent.
LONG = timedelta(seconds=12)
NEVER = datetime.min.replace(tzinfo=UTC)


def test_new_jobs_go_to_rq_again_once_redis_is_back_and_each_change_is_reported_once(
    deployment: Deployment, valkey: Valkey
) -> None:
    deployment.workers("threads")
    valkey.kill()
    outage = deployment.dispatch_many(3, in_thread)

    valkey.start()
    wait_until(lambda: deployment.engines_of("engine.failed_back"), PATIENCE, "RQ is back")
    after = deployment.dispatch_many(3, in_thread)
    deployment.wait_for_ends()

    assert [each.dispatched.engine for each in (*outage, *after)] == 3 * ["dramatiq"] + 3 * ["rq"]
    assert deployment.engines_of("engine.failed_over") == ["rq"]
    assert deployment.engines_of("engine.failed_back") == ["rq"]
    assert [deployment.effect_log.engines(handle.id) for handle in after] == 3 * [["rq"]]
    assert_each_ran_once(deployment)


@pytest.mark.fault("F30")
def test_a_backlog_before_a_busy_rq_worker_stays_on_rq(deployment: Deployment, gate: Path) -> None:
    deployment.workers("narrow")
    long = deployment.dispatch(one_by_one, Script(halt_at=1, gate=str(gate)))
    deployment.wait_for_step(long, "step-1")

    backlog = deployment.dispatch_many(5, one_by_one)
    looked_into = lambda: all(each.job().pickups_missed >= 2 for each in backlog)  # noqa: E731
    wait_until(looked_into, PATIENCE, "the rescuers have looked into every waiting job twice")
    gate.touch()
    deployment.wait_for_ends()

    assert {each.job().handoffs for each in deployment.handles} == {0}
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "rq")


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_worker_whose_slots_are_all_busy_for_long_is_not_taken_for_dead(
    deployment: Deployment, gate: Path
) -> None:
    rq, _ = deployment.workers("narrow")
    long = deployment.dispatch(one_by_one, Script(halt_at=1, gate=str(gate)))
    deployment.wait_for_step(long, "step-1")
    deployment.dispatch(one_by_one)
    until = last_beat(deployment, rq) + LONG

    wait_until(
        lambda: last_beat(deployment, rq) > until, PATIENCE, "it goes on telling that it lives"
    )
    gate.touch()
    deployment.wait_for_ends()

    assert_each_ran_once(deployment)
    assert_all_on(deployment, "rq")


def last_beat(deployment: Deployment, worker: Worker) -> datetime:
    """When a worker last recorded that it lives; never, while it does not count as live."""
    live = (each for each in deployment.app.ledger.live_workers() if each.pid == worker.process.pid)
    return max((each.seen_at for each in live if each.seen_at), default=NEVER)
