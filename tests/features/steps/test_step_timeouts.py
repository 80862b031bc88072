"""`ctx.run(..., timeout=...)` interrupts a step, whatever engine and ledger."""

import pytest

from failsoft.job_engine import JobState
from tests.deployments.shared import House
from tests.features.jobs.steps.step_timeouts import Dawdling, step_timeouts


@pytest.mark.parametrize("swallows", [False, True])
def test_the_steps_policy_answers_a_timeout_and_then_the_jobs(
    house: House, *, swallows: bool
) -> None:
    within = house.dispatch(step_timeouts, Dawdling(tries=1, swallows=swallows))
    beyond = house.dispatch(step_timeouts, Dawdling(tries=2, swallows=swallows))

    assert within.result() == [1, 2]
    assert beyond.result() == [2, 1]
    assert house.kinds(within).count("retry") == 0
    assert house.kinds(beyond).count("retry") == 1


def test_a_once_step_that_was_too_slow_is_held(house: House) -> None:
    handle = house.dispatch(step_timeouts, Dawdling(tries=1, once=True))

    held = house.wait_for(handle, JobState.HELD)

    assert held.error is not None
    assert "StepTimeoutError" in held.error.message
