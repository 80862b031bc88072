"""RQ gets its jobs back when it can be trusted again, and keeps those it is merely slow with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.deployments.deployment import PATIENCE, Stage, Worker
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Act, in_thread, one_by_one
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

#: Longer than a worker lets Redis be silent.
LONG = timedelta(seconds=12)
NEVER = datetime.min.replace(tzinfo=UTC)


def test_new_jobs_go_to_rq_again_once_redis_is_back_and_each_change_is_told_once(
    stage: Stage, valkey: Valkey
) -> None:
    stage.workers("threads")
    valkey.kill()
    outage = stage.dispatch_many(3, in_thread)

    valkey.start()
    wait_until(lambda: stage.engines_told("engine.failed_back"), PATIENCE, "RQ is back")
    after = stage.dispatch_many(3, in_thread)
    stage.wait_for_ends()

    assert [each.dispatched.engine for each in (*outage, *after)] == 3 * ["dramatiq"] + 3 * ["rq"]
    assert stage.engines_told("engine.failed_over") == ["rq"]
    assert stage.engines_told("engine.failed_back") == ["rq"]
    assert [stage.witness.engines(handle.id) for handle in after] == 3 * [["rq"]]
    assert_each_ran_once(stage)


@pytest.mark.fault("F30")
def test_a_backlog_before_a_busy_rq_worker_stays_on_rq(stage: Stage, gate: Path) -> None:
    stage.workers("narrow")
    long = stage.dispatch(one_by_one, Act(halt_at=1, gate=str(gate)))
    stage.wait_for_step(long, "step-1")

    backlog = stage.dispatch_many(5, one_by_one)
    looked_into = lambda: all(each.job().pickups_missed >= 2 for each in backlog)  # noqa: E731
    wait_until(looked_into, PATIENCE, "the rescuers have looked into every waiting job twice")
    gate.touch()
    stage.wait_for_ends()

    assert {each.job().handoffs for each in stage.handles} == {0}
    assert_each_ran_once(stage)
    assert_all_on(stage, "rq")


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_worker_whose_slots_are_all_busy_for_long_is_not_taken_for_dead(
    stage: Stage, gate: Path
) -> None:
    rq, _ = stage.workers("narrow")
    long = stage.dispatch(one_by_one, Act(halt_at=1, gate=str(gate)))
    stage.wait_for_step(long, "step-1")
    stage.dispatch(one_by_one)
    until = last_beat(stage, rq) + LONG

    wait_until(lambda: last_beat(stage, rq) > until, PATIENCE, "it goes on telling that it lives")
    gate.touch()
    stage.wait_for_ends()

    assert_each_ran_once(stage)
    assert_all_on(stage, "rq")


def last_beat(stage: Stage, worker: Worker) -> datetime:
    """When a worker last told that it lives; never, while it does not count as live."""
    live = (each for each in stage.app.ledger.live_workers() if each.pid == worker.process.pid)
    return max((each.seen_at for each in live if each.seen_at), default=NEVER)
