"""A `once` step whose worker is killed in the middle of it, on both engines alike."""

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, Deployment, ScriptedJob
from tests.deployments.promises import assert_one_authority, assert_promises_kept
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.processes import wait_until


def killed_in_the_second_step(
    deployment: Deployment, engine: str, job: ScriptedJob, script: Script
) -> JobHandle[int]:
    """Let the worker of one engine die in a step; one of the other goes on."""
    other = {"rq": "dramatiq", "dramatiq": "rq"}[engine]
    first = deployment.worker(engine, job.queue.name, **SHORT_LEASE)
    deployment.wait_for(first)
    handle = deployment.dispatch(job, script, engines=(engine, other))
    deployment.wait_for_step(handle, "step-2")
    deployment.wait_for(deployment.worker(other, job.queue.name))
    first.process.kill(tree=True)
    return handle


@pytest.mark.parametrize(
    ("engine", "job"),
    [("rq", in_thread), pytest.param("dramatiq", in_child, marks=pytest.mark.long)],
    ids=["rq", "dramatiq"],
)
def test_in_doubt_the_job_is_held_and_the_step_is_not_begun_again(
    deployment: Deployment, engine: str, job: ScriptedJob
) -> None:
    script = Script(steps=3, halt_at=2, gate="never", once=True)
    handle = killed_in_the_second_step(deployment, engine, job, script)

    wait_until(lambda: deployment.state(handle.id) is JobState.HELD, PATIENCE, "the job is held")

    error = handle.job().error
    assert error is not None
    assert "step 'step-2' was begun by an attempt that ended" in error.message
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 1}
    assert_one_authority(deployment, handle)


@pytest.mark.parametrize(
    ("engine", "found", "begun"),
    [pytest.param("rq", "done", 1, marks=pytest.mark.long), ("dramatiq", "not done", 2)],
)
def test_what_verify_finds_out_decides(
    deployment: Deployment, engine: str, found: str, begun: int
) -> None:
    script = Script.model_validate(
        {"steps": 3, "halt_at": 2, "gate": "never", "once": True, "found": found}
    )
    handle = killed_in_the_second_step(deployment, engine, in_thread, script)

    deployment.wait_for_ends()

    assert handle.job().state is JobState.SUCCEEDED
    assert deployment.effect_log.times_begun(handle.id) == {
        "step-1": 1,
        "step-2": begun,
        "step-3": 1,
    }
    assert_promises_kept(deployment)
