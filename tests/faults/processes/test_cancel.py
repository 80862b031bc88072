"""F26: a job is cancelled while it waits, is offered, runs, and has ended."""

from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.records.job import CancelOutcome
from tests.deployments.deployment import PATIENCE, Deployment, ScriptedJob
from tests.deployments.promises import assert_promises_kept
from tests.faults.support import ON_POSTGRESQL
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.processes import wait_until


@pytest.mark.fault("F26")
@ON_POSTGRESQL
@pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])
def test_a_cancelled_job_begins_nothing_more_wherever_it_was(
    deployment: Deployment, gate: Path, job: ScriptedJob
) -> None:
    waiting = deployment.dispatch(job, delay=timedelta(hours=1))
    offered = deployment.dispatch(job)
    assert [waiting.cancel(), offered.cancel()] == 2 * [CancelOutcome.CANCELLED]
    worker = deployment.worker("rq", job.queue.name)
    wait_until(lambda: worker.logged("message.refused"), PATIENCE, "the offer is refused")

    running = deployment.dispatch(job, Script(steps=3, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(running, "step-2")
    assert running.cancel() is CancelOutcome.REQUESTED
    gate.touch()
    deployment.wait_for_ends()

    assert running.cancel() is CancelOutcome.ENDED
    assert {deployment.state(each.id) for each in deployment.handles} == {JobState.CANCELLED}
    assert deployment.effect_log.jobs() == {running.id}
    assert deployment.effect_log.times_begun(running.id) == {"step-1": 1, "step-2": 1}
    assert_promises_kept(deployment)


@pytest.mark.fault("F26")
@ON_POSTGRESQL
def test_a_cancel_during_the_last_step_leaves_the_job_succeeded_or_cancelled_and_says_which(
    deployment: Deployment, gate: Path
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads"))
    handle = deployment.dispatch(in_thread, Script(steps=1, halt_at=1, gate=str(gate)))
    deployment.wait_for_step(handle, "step-1")

    assert handle.cancel() is CancelOutcome.REQUESTED
    gate.touch()
    deployment.wait_for_ends()

    assert handle.status() is JobState.SUCCEEDED
    assert_promises_kept(deployment)
