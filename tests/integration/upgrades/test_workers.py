"""F47: workers of this release that restart while the ledger is upgraded to the next one."""

from pathlib import Path

import pytest

from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.steps import Progress
from tests.deployments.deployment import Deployment
from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
from tests.deployments.promises import assert_promises_kept
from tests.integration.upgrades.next_release import ADDITIVE
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import PATIENCE, wait_until


@pytest.mark.fault("F47")
def test_workers_that_restart_during_and_after_an_upgrade_go_on(
    deployment: Deployment, gate: Path
) -> None:
    rq = deployment.worker("rq", "threads")
    deployment.wait_for(rq)
    across = deployment.dispatch(in_thread, Script(steps=3, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(across, "step-2")

    def restart(progress: Progress) -> None:
        # In the middle: columns and indexes are there, the revision is not.
        if (progress.step, progress.phase) == ("backfill colours", "begun"):
            during = deployment.worker("dramatiq", "threads")
            deployment.wait_for(during)
            deployment.dispatch(in_thread, Script(steps=2))

    upgrade(deployment.app.ledger.database, migrations=ADDITIVE, report=restart)
    after = deployment.worker("rq", "threads")
    deployment.wait_for(after)
    gate.touch()
    deployment.dispatch_many(5, in_thread)
    deployment.wait_for_ends()

    assert len(deployment.handles) == 7
    assert deployment.effect_log.times_begun(across.id) == {"step-1": 1, "step-2": 1, "step-3": 1}
    assert_promises_kept(deployment)
    wait_until(lambda: len(deployment.live_pids()) == 3, PATIENCE, "three live workers")
