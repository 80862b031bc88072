"""Jobs of real workers are copied from SQLite to PostgreSQL, and go on there."""

from contextlib import closing
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from failsoft.ledger import Database
from failsoft.ledger.copying.run import copy
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from tests.deployments.deployment import opened
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


@pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)
def test_a_half_done_job_goes_on_in_postgresql_after_its_last_finished_step(
    environment: pytest.MonkeyPatch, processes: Processes, postgres_url: str, gate: Path
) -> None:
    script = Script(steps=6, halt_at=4, gate=str(gate))
    with opened(processes) as before:
        worker = before.worker("rq", "threads", **BRIEF)
        before.wait_for(worker)
        half_done = before.dispatch(in_thread, script)
        napping = before.dispatch(in_thread, Script(steps=2, nap=2))
        before.wait_for_step(half_done, "step-4")
        wait_until(
            lambda: "suspend" in before.kinds(napping), PATIENCE, "the other job falls asleep"
        )
        tree = worker.process.tree()
        worker.process.kill(tree=False)
        wait_until(lambda: not any(map(is_alive, tree)), PATIENCE, "the worker is gone")
        # Both wait in RQ's list, in messages that the keys of the ledger have signed.
        waiting = before.dispatch(in_thread, Script(), engines=("rq",))
        later = before.dispatch(in_thread, Script(), idempotency_key="once")
        before.app.dispatcher.flush()
        wait_until(lambda: not before.live_pids(), PATIENCE, "its heartbeat is over")

        source = before.app.ledger.database
        with closing(Database(postgres_url)) as target:
            done = copy(source, target)

    assert (done.jobs, done.violations) == (4, 0)
    environment.setenv("FAILSOFT_LEDGER_URL", postgres_url)
    with opened(processes) as after:
        after.wait_for(after.worker("rq", "threads"), after.worker("dramatiq", "threads"))
        after.handles = [
            after.app.dispatcher.handle(in_thread, each.id)
            for each in (half_done, napping, waiting, later)
        ]
        again = after.app.dispatcher.dispatch(in_thread, Script(), idempotency_key="once")
        after.wait_for_ends()

        assert again.id == later.id
        assert {each.status() for each in after.handles} == {JobState.SUCCEEDED}
        begun = after.effect_log.times_begun(half_done.id)
        assert begun == dict.fromkeys(SIX, 1) | {"step-4": 2}
        assert after.effect_log.times_begun(napping.id) == {"step-1": 1, "step-2": 1}
        assert_promises_kept(after)
        checked = list(verify(after.app.ledger.database))
        assert [found for each in checked for found in each.violations] == []

