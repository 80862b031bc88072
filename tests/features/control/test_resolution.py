"""A job that is held for a step in doubt goes on, or ends, as a person decides."""

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobFailedError
from failsoft.job_engine.invariants import history_of, violations
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.resolution import Bill, resolving_pay


def test_a_held_job_is_resolved_by_a_person(deployment: EngineDeployment) -> None:
    again, done, accepted, abandoned = (
        deployment.dispatch(resolving_pay, Bill(number=number)) for number in range(4)
    )
    for handle in (again, done, accepted, abandoned):
        deployment.wait_for(handle, JobState.HELD)

    again.resume(reason="the bank knows nothing of it")
    done.resume(done={"pay": "paid, says the bank"})
    accepted.accept("written off")
    abandoned.abandon(reason="too old")

    assert again.result() == "0 paid again"
    assert done.result() == "paid, says the bank"
    assert accepted.result() == "written off"
    with pytest.raises(JobFailedError, match="may have taken effect") as caught:
        abandoned.result()
    assert "no answer about 3" in caught.value.traceback
    for handle in (again, done, accepted, abandoned):
        expect_sound(deployment, handle)


def expect_sound(deployment: EngineDeployment, handle: JobHandle[str]) -> None:
    assert list(violations(history_of(deployment.ledger, handle.id))) == []
