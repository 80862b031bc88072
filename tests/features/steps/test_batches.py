"""`ctx.batches` resumes with the batch that was cut off."""

from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.batches import Numbers, batches_sum


def test_a_job_resumes_with_the_batch_that_was_cut_off(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(batches_sum, Numbers(count=6, fail_at=2))

    ended = deployment.wait_for(handle)

    assert handle.result() == [2, 4]
    assert ended.engine == deployment.engine
    assert [step.name for step in deployment.ledger.steps(handle.id)] == ["add 1", "add 2", "add 3"]
