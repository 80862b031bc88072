"""F36 in a worker: its jobs dispatch, import into the ledger's file, and it is killed."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.deployments.deployment import Deployment
from tests.deployments.promises import assert_promises_kept
from tests.faults.sqlite.sqlite_app import VISIT
from tests.faults.support import ON_SQLITE, OUR_JOBS, adopt
from tests.jobs.fault_jobs import busy_with_the_ledger
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import PATIENCE, wait_until

STEPS = 6


@pytest.mark.fault("F36")
@ON_SQLITE
@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
def test_a_worker_that_uses_its_ledger_in_every_way_loses_nothing(
    deployment: Deployment, gate: Path
) -> None:
    path = deployment.app.ledger.database.file
    assert path is not None
    settings = {"FAILSOFT_JOBS": OUR_JOBS, "FAILSOFT_LEASE": "3s"}
    worker = deployment.worker("rq", "threads", **settings)
    deployment.wait_for(worker)
    once = deployment.dispatch(in_thread, Script(steps=STEPS, once=True))
    busy = deployment.dispatch(
        busy_with_the_ledger, Script(steps=STEPS, halt_at=STEPS, gate=str(gate))
    )

    def visit() -> bool:
        subprocess.run([sys.executable, "-c", VISIT, str(path.path)], check=True)
        return deployment.effect_log.has_begun(busy.id, f"step-{STEPS}", 1)

    wait_until(visit, PATIENCE, "the last step has begun")
    deployment.wait_for_ends(once)
    worker.process.kill()
    visit()
    another = deployment.worker("rq", "threads", **settings)
    deployment.wait_for(another)
    deployment.wait_for_ends(busy)

    children = [f"{busy.id}-{number}" for number in range(1, STEPS + 1)]
    for each in children:
        adopt(deployment, each)
    deployment.wait_for_ends()
    assert deployment.effect_log.times_begun(once.id) == {
        f"step-{n}": 1 for n in range(1, STEPS + 1)
    }
    with closing(sqlite3.connect(path.path)) as stranger:
        rows = stranger.execute("SELECT key FROM imported ORDER BY key").fetchall()
        assert stranger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert [key for (key,) in rows] == children
    assert_promises_kept(deployment)
