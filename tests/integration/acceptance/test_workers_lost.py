"""Workers die, stop and start; their jobs go on elsewhere from where they were."""

import signal
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, SHORT_LIFE, Deployment, ScriptedJob
from tests.deployments.promises import assert_all_on, assert_each_ran_once, assert_promises_kept
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.processes import is_alive, wait_until

#: A job of ten steps that is caught in its sixth, in its first attempt.
TEN = [f"step-{number}" for number in range(1, 11)]

EVERY_ISOLATION = pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    # Redis is there, and is to be given every job, however long a busy machine takes for it.
    environment.setenv("FAILSOFT_DISPATCH_BUDGET", "15s")
    return environment


def test_jobs_of_dead_rq_workers_go_to_dramatiq_although_redis_is_fine(
    deployment: Deployment,
) -> None:
    rq, _ = deployment.workers("threads", **SHORT_LIFE)
    ghost = deployment.pretend("rq", "threads")
    rq.process.kill()
    handles = deployment.dispatch_many(5, in_thread)
    assert {handle.dispatched.engine for handle in handles} == {"rq"}

    deployment.app.ledger.retire(ghost.boot_id)
    deployment.wait_for_ends()
    late = deployment.dispatch(in_thread)
    deployment.wait_for_ends()

    assert deployment.tries(late) == [
        ("rq", "workers", "skipped"),
        ("dramatiq", "offer", "accepted"),
    ]
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


def test_a_dispatch_that_confirms_pickup_returns_when_dramatiq_has_taken_the_job(
    deployment: Deployment,
) -> None:
    rq, _ = deployment.workers("threads")
    rq.process.kill()

    handle = deployment.dispatch(in_thread, confirm="pickup")

    assert handle.dispatched.state in {JobState.RUNNING, JobState.SUCCEEDED}
    deployment.wait_for_ends()
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "dramatiq")


@EVERY_ISOLATION
@pytest.mark.fault("F14")
def test_a_job_whose_rq_worker_is_killed_goes_on_with_dramatiq_after_its_last_finished_step(
    deployment: Deployment, job: ScriptedJob
) -> None:
    assert_a_killed_job_goes_on(deployment, job)


@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
def test_a_killed_job_goes_on_with_dramatiq_on_a_second_valkey_too(deployment: Deployment) -> None:
    assert_a_killed_job_goes_on(deployment, in_thread)


def assert_a_killed_job_goes_on(deployment: Deployment, job: ScriptedJob) -> None:
    rq, _ = deployment.workers(job.queue.name, **SHORT_LEASE)
    handle = deployment.dispatch(job, Script(steps=10, halt_at=6, gate="never"))
    deployment.wait_for_step(handle, "step-6")

    tree = rq.process.tree()
    rq.process.kill(tree=False)
    wait_until(lambda: not any(map(is_alive, tree)), PATIENCE, "its children are gone, too")
    deployment.wait_for_ends()

    assert handle.job().state is JobState.SUCCEEDED
    assert deployment.effect_log.times_begun(handle.id) == dict.fromkeys(TEN, 1) | {"step-6": 2}
    assert deployment.effect_log.engines(handle.id) == ["rq", "dramatiq"]
    assert (handle.job().crashes, handle.job().errors) == (1, 0)
    assert_promises_kept(deployment)


@EVERY_ISOLATION
@pytest.mark.fault("F15")
def test_a_worker_that_was_frozen_past_its_lease_wakes_up_without_authority(
    deployment: Deployment, gate: Path, job: ScriptedJob
) -> None:
    rq, _ = deployment.workers(job.queue.name, **SHORT_LEASE)
    handle = deployment.dispatch(job, Script(steps=10, halt_at=6, gate=str(gate)))
    deployment.wait_for_step(handle, "step-6")

    deployment.freeze(rq)
    deployment.wait_for_ends()
    gate.touch()
    rq.process.thaw()
    again = deployment.dispatch(job, engines=("rq",))
    deployment.wait_for_ends()

    ends = [each.outcome for each in deployment.app.ledger.attempts(handle.id)]
    assert ends == ["recover", "succeed"]
    assert deployment.effect_log.times_begun(handle.id) == dict.fromkeys(TEN, 1) | {"step-6": 2}
    assert deployment.effect_log.engines(handle.id) == ["rq", "dramatiq"]
    assert deployment.effect_log.engines(again.id) == ["rq"]
    assert_promises_kept(deployment)


@EVERY_ISOLATION
def test_a_stopped_worker_gives_its_job_back_between_two_steps(
    deployment: Deployment, job: ScriptedJob
) -> None:
    rq, _ = deployment.workers(job.queue.name)
    handle = deployment.dispatch(job, Script(steps=10, pace=0.15))
    deployment.wait_for_step(handle, "step-3")

    assert rq.process.terminate(PATIENCE) == 0
    deployment.wait_for_ends()

    ended = handle.job()
    assert ended.releases >= 1
    assert (ended.errors, ended.crashes) == (0, 0)
    assert deployment.effect_log.engines(handle.id) == ["rq", "dramatiq"]
    assert_each_ran_once(deployment)


def test_a_worker_stopped_while_a_child_is_being_born_gives_its_job_back_too(
    deployment: Deployment,
) -> None:
    rq, _ = deployment.workers("children")
    handle = deployment.dispatch(in_child, Script(steps=8, pace=0.15))
    wait_until(lambda: rq.logged("job.claim"), PATIENCE, "the job is claimed")

    assert rq.process.terminate(PATIENCE) == 0
    deployment.wait_for_ends()

    assert deployment.effect_log.engines(handle.id)[-1] == "dramatiq"
    assert (handle.job().errors, handle.job().crashes) == (0, 0)
    assert_each_ran_once(deployment)


def test_a_worker_stopped_twice_gives_its_job_back_at_once(deployment: Deployment) -> None:
    rq, _ = deployment.workers("children", **SHORT_LIFE)
    handle = deployment.dispatch(in_child, Script(steps=2, halt_at=1, gate="never"))
    deployment.wait_for_step(handle, "step-1")

    rq.process.signal(signal.SIGTERM)
    wait_until(
        lambda: rq.process.pid not in deployment.live_pids(), PATIENCE, "it takes no more jobs"
    )
    assert rq.process.terminate(PATIENCE) == 0
    deployment.wait_for_ends()

    ended = handle.job()
    assert (ended.releases, ended.errors, ended.crashes) == (1, 0, 0)
    assert deployment.effect_log.engines(handle.id) == ["rq", "dramatiq"]
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 2, "step-2": 1}
    assert_promises_kept(deployment)
