"""`ctx.parallel` runs steps side by side, and what is missing after a resume."""

import pytest

from failsoft.job_engine import JobDefinition
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.parallel import Sides, parallel_async_sides, parallel_sides


@pytest.mark.parametrize("job", [parallel_sides, parallel_async_sides], ids=lambda job: job.name)
def test_a_resumed_job_runs_the_missing_branches_only(
    deployment: EngineDeployment, job: JobDefinition[Sides, list[list[int]]]
) -> None:
    handle = deployment.dispatch(job, Sides(count=3, fails=1))

    assert handle.result() == [[0, 1], [1, 2], [2, 1]]
    steps = deployment.ledger.steps(handle.id)
    assert [(step.name, step.seq) for step in steps] == [
        ("side 0", 0),
        ("side 1", 1),
        ("side 2", 2),
    ]
