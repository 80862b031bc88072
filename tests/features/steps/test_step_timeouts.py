"""`ctx.run(..., timeout=...)` interrupts a step, whatever engine and ledger."""

import pytest

from failsoft.job_engine import JobState
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.step_timeouts import Dawdling, step_timeouts


@pytest.mark.parametrize("swallows", [False, True])
def test_the_steps_policy_answers_a_timeout_and_then_the_jobs(
    deployment: EngineDeployment, *, swallows: bool
) -> None:
    within = deployment.dispatch(step_timeouts, Dawdling(tries=1, swallows=swallows))
    beyond = deployment.dispatch(step_timeouts, Dawdling(tries=2, swallows=swallows))

    assert within.result() == [1, 2]
    assert beyond.result() == [2, 1]
    assert deployment.kinds(within).count("retry") == 0
    assert deployment.kinds(beyond).count("retry") == 1


def test_a_once_step_that_was_too_slow_is_held(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(step_timeouts, Dawdling(tries=1, once=True))

    held = deployment.wait_for(handle, JobState.HELD)

    assert held.error is not None
    assert "StepTimeoutError" in held.error.message
