"""Jobs of real workers are copied from SQLite to PostgreSQL, and go on there."""

from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from failsoft.ledger import Database
from failsoft.ledger.copying.run import copy
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from tests.deployments.deployment import Deployment, opened
from tests.deployments.promises import assert_promises_kept
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import PATIENCE, Processes, is_alive, wait_until

SIX = [f"step-{number}" for number in range(1, 7)]
#: The heartbeat of a worker that is killed must be over before the copy.
BRIEF = {"FAILSOFT_WORKER_TTL": "1s", "FAILSOFT_LEASE": "3s"}


@pytest.fixture
def upgraded_ledger_url(sqlite_url: str) -> str:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
    return sqlite_url


@dataclass
class Left:
    """What stands in the ledger when its worker is gone."""

    half_done: str
    napping: str
    waiting: str
    keyed: str


def leave_work_behind(deployment: Deployment, gate: Path) -> Left:
    """Kill a worker in the middle of a job, and dispatch more."""
    worker = deployment.worker("rq", "threads", **BRIEF)
    deployment.wait_for(worker)
    half_done = deployment.dispatch(in_thread, Script(steps=6, halt_at=4, gate=str(gate)))
    napping = deployment.dispatch(in_thread, Script(steps=2, nap=2))
    deployment.wait_for_step(half_done, "step-4")
    wait_until(lambda: "suspend" in deployment.kinds(napping), PATIENCE, "the other falls asleep")
    tree = worker.process.tree()
    worker.process.kill(tree=False)
    wait_until(lambda: not any(map(is_alive, tree)), PATIENCE, "the worker is gone")
    # It waits in RQ's list, in a message that a key of this ledger has signed.
    waiting = deployment.dispatch(in_thread, Script(), engines=("rq",))
    keyed = deployment.dispatch(in_thread, Script(), idempotency_key="once")
    deployment.app.dispatcher.flush()
    wait_until(lambda: not deployment.live_pids(), PATIENCE, "its heartbeat is over")
    return Left(half_done.id, napping.id, waiting.id, keyed.id)


@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
def test_a_half_done_job_goes_on_in_postgresql_after_its_last_finished_step(
    environment: pytest.MonkeyPatch, processes: Processes, postgres_url: str, gate: Path
) -> None:
    with opened(processes) as before, closing(Database(postgres_url)) as target:
        left = leave_work_behind(before, gate)
        done = copy(before.app.ledger.database, target)
    assert (done.jobs, done.violations) == (4, 0)

    environment.setenv("FAILSOFT_LEDGER_URL", postgres_url)
    with opened(processes) as after:
        after.wait_for(after.worker("rq", "threads"), after.worker("dramatiq", "threads"))
        again = after.app.dispatcher.dispatch(in_thread, Script(), idempotency_key="once")
        find = after.app.dispatcher.handle
        after.handles = [find(in_thread, job_id) for job_id in astuple(left)]
        after.wait_for_ends()

        assert again.id == left.keyed
        assert {each.status() for each in after.handles} == {JobState.SUCCEEDED}
        begun = after.effect_log.times_begun(left.half_done)
        assert begun == dict.fromkeys(SIX, 1) | {"step-4": 2}
        assert after.effect_log.times_begun(left.napping) == {"step-1": 1, "step-2": 1}
        assert_promises_kept(after)
        checked = list(verify(after.app.ledger.database))
        assert [found for each in checked for found in each.violations] == []
