"""`ctx.batches` resumes with the batch that was cut off."""

from tests.deployments.shared import House
from tests.features.jobs.steps.batches import Numbers, batches_sum


def test_a_job_resumes_with_the_batch_that_was_cut_off(house: House) -> None:
    handle = house.dispatch(batches_sum, Numbers(count=6, fail_at=2))

    ended = house.wait_for(handle)

    assert handle.result() == [2, 4]
    assert ended.engine == house.engine
    assert [step.name for step in house.ledger.steps(handle.id)] == ["add 1", "add 2", "add 3"]
