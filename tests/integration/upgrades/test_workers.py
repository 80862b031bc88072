"""F47: workers of this release that restart while the ledger is upgraded to the next one."""

from pathlib import Path

import pytest

from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.steps import Progress
from tests.deployments.deployment import Stage
from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
from tests.deployments.promises import assert_promises_kept
from tests.integration.upgrades.next_release import ADDITIVE
from tests.jobs.scripted import Act, in_thread
from tests.servers.processes import PATIENCE, wait_until


@pytest.mark.fault("F47")
def test_workers_that_restart_during_and_after_an_upgrade_go_on(stage: Stage, gate: Path) -> None:
    rq = stage.worker("rq", "threads")
    stage.wait_for(rq)
    across = stage.dispatch(in_thread, Act(steps=3, halt_at=2, gate=str(gate)))
    stage.wait_for_step(across, "step-2")

    def restart(progress: Progress) -> None:
        # In the middle: columns and indexes are there, the revision is not.
        if (progress.step, progress.phase) == ("backfill colours", "begun"):
            during = stage.worker("dramatiq", "threads")
            stage.wait_for(during)
            stage.dispatch(in_thread, Act(steps=2))

    upgrade(stage.app.ledger.database, migrations=ADDITIVE, report=restart)
    after = stage.worker("rq", "threads")
    stage.wait_for(after)
    gate.touch()
    stage.dispatch_many(5, in_thread)
    stage.wait_for_ends()

    assert len(stage.handles) == 7
    assert stage.witness.times_begun(across.id) == {"step-1": 1, "step-2": 1, "step-3": 1}
    assert_promises_kept(stage)
    wait_until(lambda: len(stage.live_pids()) == 3, PATIENCE, "three live workers")
