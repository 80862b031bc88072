"""Workers die, stop and start; their jobs go on elsewhere from where they were."""

import signal
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, SHORT_LIFE, Play, Stage
from tests.deployments.promises import assert_all_on, assert_each_ran_once, assert_promises_kept
from tests.jobs.scripted import Act, in_child, in_thread
from tests.servers.processes import is_alive, wait_until

#: A job of ten steps that is caught in its sixth, in its first attempt.
TEN = [f"step-{number}" for number in range(1, 11)]

EVERY_ISOLATION = pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])


def test_jobs_of_dead_rq_workers_go_to_dramatiq_although_redis_is_fine(stage: Stage) -> None:
    rq, _ = stage.workers("threads", **SHORT_LIFE)
    ghost = stage.pretend("rq", "threads")
    rq.process.kill()
    handles = stage.dispatch_many(5, in_thread)
    assert {handle.dispatched.engine for handle in handles} == {"rq"}

    stage.app.ledger.retire(ghost.boot_id)
    stage.wait_for_ends()
    late = stage.dispatch(in_thread)
    stage.wait_for_ends()

    assert stage.tries(late) == [("rq", "workers", "skipped"), ("dramatiq", "offer", "accepted")]
    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")


def test_a_dispatch_that_confirms_pickup_returns_when_dramatiq_has_taken_the_job(
    stage: Stage,
) -> None:
    rq, _ = stage.workers("threads")
    rq.process.kill()

    handle = stage.dispatch(in_thread, confirm="pickup")

    assert handle.dispatched.state in {JobState.RUNNING, JobState.SUCCEEDED}
    stage.wait_for_ends()
    assert_each_ran_once(stage)
    assert_all_on(stage, "dramatiq")


@EVERY_ISOLATION
@pytest.mark.fault("F14")
def test_a_job_whose_rq_worker_is_killed_goes_on_with_dramatiq_after_its_last_finished_step(
    stage: Stage, job: Play
) -> None:
    assert_a_killed_job_goes_on(stage, job)


@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
def test_a_killed_job_goes_on_with_dramatiq_on_a_second_valkey_too(stage: Stage) -> None:
    assert_a_killed_job_goes_on(stage, in_thread)


def assert_a_killed_job_goes_on(stage: Stage, job: Play) -> None:
    rq, _ = stage.workers(job.queue.name, **SHORT_LEASE)
    handle = stage.dispatch(job, Act(steps=10, halt_at=6, gate="never"))
    stage.wait_for_step(handle, "step-6")

    tree = rq.process.tree()
    rq.process.kill(tree=False)
    wait_until(lambda: not any(map(is_alive, tree)), PATIENCE, "its children are gone, too")
    stage.wait_for_ends()

    assert handle.job().state is JobState.SUCCEEDED
    assert stage.witness.times_begun(handle.id) == dict.fromkeys(TEN, 1) | {"step-6": 2}
    assert stage.witness.engines(handle.id) == ["rq", "dramatiq"]
    assert (handle.job().crashes, handle.job().errors) == (1, 0)
    assert_promises_kept(stage)


@EVERY_ISOLATION
@pytest.mark.fault("F15")
def test_a_worker_that_was_frozen_past_its_lease_wakes_up_without_authority(
    stage: Stage, gate: Path, job: Play
) -> None:
    rq, _ = stage.workers(job.queue.name, **SHORT_LEASE)
    handle = stage.dispatch(job, Act(steps=10, halt_at=6, gate=str(gate)))
    stage.wait_for_step(handle, "step-6")

    stage.freeze(rq)
    stage.wait_for_ends()
    gate.touch()
    rq.process.thaw()
    again = stage.dispatch(job, engines=("rq",))
    stage.wait_for_ends()

    ends = [each.outcome for each in stage.app.ledger.attempts(handle.id)]
    assert ends == ["recover", "succeed"]
    assert stage.witness.times_begun(handle.id) == dict.fromkeys(TEN, 1) | {"step-6": 2}
    assert stage.witness.engines(handle.id) == ["rq", "dramatiq"]
    assert stage.witness.engines(again.id) == ["rq"]
    assert_promises_kept(stage)


@EVERY_ISOLATION
def test_a_worker_told_to_stop_gives_its_job_back_between_two_steps(
    stage: Stage, job: Play
) -> None:
    rq, _ = stage.workers(job.queue.name)
    handle = stage.dispatch(job, Act(steps=10, pace=0.15))
    stage.wait_for_step(handle, "step-3")

    assert rq.process.terminate(PATIENCE) == 0
    stage.wait_for_ends()

    ended = handle.job()
    assert ended.releases >= 1
    assert (ended.errors, ended.crashes) == (0, 0)
    assert stage.witness.engines(handle.id) == ["rq", "dramatiq"]
    assert_each_ran_once(stage)


def test_a_worker_told_to_stop_while_a_child_is_being_born_gives_its_job_back_too(
    stage: Stage,
) -> None:
    rq, _ = stage.workers("children")
    handle = stage.dispatch(in_child, Act(steps=8, pace=0.15))
    wait_until(lambda: rq.told("job.claim"), PATIENCE, "the job is claimed")

    assert rq.process.terminate(PATIENCE) == 0
    stage.wait_for_ends()

    assert stage.witness.engines(handle.id)[-1] == "dramatiq"
    assert (handle.job().errors, handle.job().crashes) == (0, 0)
    assert_each_ran_once(stage)


def test_a_worker_told_twice_to_stop_gives_its_job_back_at_once(stage: Stage) -> None:
    rq, _ = stage.workers("children", **SHORT_LIFE)
    handle = stage.dispatch(in_child, Act(steps=2, halt_at=1, gate="never"))
    stage.wait_for_step(handle, "step-1")

    rq.process.signal(signal.SIGTERM)
    wait_until(lambda: rq.process.pid not in stage.live_pids(), PATIENCE, "it takes no more jobs")
    assert rq.process.terminate(PATIENCE) == 0
    stage.wait_for_ends()

    ended = handle.job()
    assert (ended.releases, ended.errors, ended.crashes) == (1, 0, 0)
    assert stage.witness.engines(handle.id) == ["rq", "dramatiq"]
    assert stage.witness.times_begun(handle.id) == {"step-1": 2, "step-2": 1}
    assert_promises_kept(stage)
