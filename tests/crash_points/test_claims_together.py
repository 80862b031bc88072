"""A worker that dies while it claims several messages in one commit: all of them or none is its."""

import pytest

from failsoft.job_engine import JobState
from failsoft.ledger.verify import verify
from tests.crash_points.cells import Cell
from tests.crash_points.replaced_workers import ReplacedWorkers
from tests.crash_points.scenarios import SCRIPT
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import (
    assert_finished_steps_stayed_finished,
    assert_one_authority,
    assert_one_outcome,
)
from tests.jobs.crash_point_jobs import crossing
from tests.servers.processes import wait_until

ENGINE, QUEUE, JOBS = "ledger", "threads", 8
pytestmark = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("FAILSOFT_ENGINES", ENGINE)
    return environment


@pytest.mark.fault("F14", "F15")
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_worker_that_dies_at_claims_of_several(
    deployment: Deployment, workers: ReplacedWorkers, side: str
) -> None:
    # All of them wait when the worker looks for the first time, so that it takes several at once.
    handles = [deployment.app.dispatcher.dispatch(crossing, SCRIPT) for _ in range(JOBS)]
    deployment.handles += handles
    cell = Cell(f"claim.{side}", "kill")
    workers.arm(cell)

    workers.start_role("work", ENGINE, QUEUE)
    wait_until(lambda: workers.was_hit(cell), PATIENCE, "a worker reaches the claim")
    wait_until(lambda: not workers.others[0].is_running, PATIENCE, "it is dead")
    states = [deployment.state(each.id) for each in handles]
    workers.start_role("work", ENGINE, QUEUE)
    deployment.wait_for_ends(*handles)

    claimed = [state for state in states if state is JobState.RUNNING]
    assert len(claimed) > 1 if side == "after" else not claimed, states
    for each in handles:
        assert each.job().state is JobState.SUCCEEDED
        assert_one_outcome(deployment, each)
        assert_one_authority(deployment, each)
        assert_finished_steps_stayed_finished(deployment, each)
    batches = verify(deployment.app.ledger.database)
    assert [violation for batch in batches for violation in batch.violations] == []
