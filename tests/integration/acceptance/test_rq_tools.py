"""The commands that people use: one job module for both workers, and RQ's own tools stay true."""

import subprocess

import pytest
from rq import Queue
from rq.command import send_stop_job_command
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from failsoft.job_engine import JobState
from tests.deployments.deployment import (
    PATIENCE,
    SHORT_LIFE,
    Deployment,
    ScriptedJob,
    installed_command,
)
from tests.deployments.promises import assert_each_ran_once, assert_promises_kept
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.processes import is_alive, wait_until
from tests.servers.valkey import Valkey

EVERY_ISOLATION = pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])


def test_one_job_module_runs_unchanged_under_both_worker_commands(deployment: Deployment) -> None:
    commands = [deployment.command(engine, "threads") for engine in ("rq", "dramatiq")]
    wait_until(lambda: len(deployment.live_pids()) == 2, PATIENCE, "a live worker of each command")

    handles = [deployment.dispatch(in_thread, engines=(engine,)) for engine in ("rq", "dramatiq")]
    deployment.wait_for_ends()
    trees = [each for command in commands for each in command.process.tree()]

    assert [deployment.effect_log.engines(each.id) for each in handles] == [["rq"], ["dramatiq"]]
    assert [each.process.terminate(PATIENCE) for each in commands] == [0, 0]
    assert not any(map(is_alive, trees))
    assert deployment.live_pids() == set()
    assert_each_ran_once(deployment)


def test_a_suspended_rq_gets_no_jobs_until_it_is_resumed(
    deployment: Deployment, valkey: Valkey
) -> None:
    rq, _ = deployment.workers("threads", **SHORT_LIFE)

    run_rq("suspend", valkey)
    wait_until(lambda: rq.process.pid not in deployment.live_pids(), PATIENCE, "RQ takes no jobs")
    during = deployment.dispatch(in_thread)
    deployment.wait_for_ends()
    run_rq("resume", valkey)
    deployment.wait_for(rq)
    after = deployment.dispatch(in_thread, engines=("rq",))
    deployment.wait_for_ends()

    assert during.dispatched.engine == "dramatiq"
    assert [deployment.effect_log.engines(each.id) for each in (during, after)] == [
        ["dramatiq"],
        ["rq"],
    ]
    assert_each_ran_once(deployment)


@EVERY_ISOLATION
def test_rqs_registries_show_a_running_job_and_its_stop_command_cancels_it(
    deployment: Deployment, valkey: Valkey, job: ScriptedJob
) -> None:
    deployment.wait_for(deployment.worker("rq", job.queue.name))
    handle = deployment.dispatch(job, Script(steps=2, halt_at=1, gate="never"))
    deployment.wait_for_step(handle, "step-1")
    rq_id = f"failsoft_{handle.id}-1"

    with valkey.client() as client:
        queue = Queue(f"failsoft-{job.queue.name}", connection=client)
        assert queue.started_job_registry.get_job_ids() == [rq_id]
        assert f"failsoft-{job.queue.name}" in run_rq("info", valkey)
        send_stop_job_command(client, rq_id, serializer=JSONSerializer)
        deployment.wait_for_ends()
        known = Job.fetch(rq_id, connection=client, serializer=JSONSerializer)
        stopped = lambda: known.get_status() is JobStatus.STOPPED  # noqa: E731
        wait_until(stopped, PATIENCE, "RQ, too, says that the job was stopped")

    assert handle.job().state is JobState.CANCELLED
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1}
    assert_promises_kept(deployment)


def run_rq(command: str, valkey: Valkey) -> str:
    """Run one of RQ's own commands, as an operator would."""
    words = [installed_command("rq"), command, "--url", valkey.url]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return done.stdout
