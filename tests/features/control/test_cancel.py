"""A cancel says what it came to: cancelled, requested to stop, or too late."""

from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobCancelledError
from failsoft.job_engine.records.job import CancelOutcome
from tests.deployments.shared import PATIENCE, EngineDeployment
from tests.features.jobs.control.cancel import Gate, gated
from tests.features.jobs.dispatching.dispatch_options import Note, deserted, echo
from tests.servers.processes import wait_until


def test_a_job_that_waits_never_starts(deployment: EngineDeployment) -> None:
    scheduled = deployment.dispatch(echo, Note(), delay=timedelta(hours=1))
    offered = deployment.dispatch(deserted, Note())
    assert offered.status() is JobState.OFFERED

    for handle in (scheduled, offered):
        assert handle.cancel() is CancelOutcome.CANCELLED
        assert handle.job().claims == 0
        with pytest.raises(JobCancelledError):
            handle.result()


def test_a_job_that_runs_begins_no_further_step(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    handle = deployment.dispatch(gated, gate)
    wait_until(gate.entered.exists, PATIENCE, "the step begins")

    assert handle.cancel() is CancelOutcome.REQUESTED
    gate.opened.touch()

    deployment.wait_for(handle, JobState.CANCELLED)
    assert [step.name for step in deployment.ledger.steps(handle.id)] == ["wait"]
    assert handle.cancel() is CancelOutcome.ENDED
