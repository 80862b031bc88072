"""F52: what a process known dead had claimed goes on at once, and not a lease later."""

from pathlib import Path

import psutil
import pytest

from failsoft.worker.supervision.supervisor import WORKER
from tests.deployments.deployment import PATIENCE, SHORT_LIFE, Deployment
from tests.deployments.promises import assert_each_ran_once, assert_promises_kept
from tests.faults.support import ON_SQLITE
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import wait_until, words_of

#: Far longer than any test waits.
LONG_LEASE = {"FAILSOFT_LEASE": "1h"}
SLOTS = 8


@pytest.mark.fault("F52")
def test_the_jobs_of_a_killed_worker_go_on_long_before_their_lease_is_over(
    deployment: Deployment,
) -> None:
    rq, _ = deployment.workers("threads", **LONG_LEASE)
    script = Script(steps=2, halt_at=2, gate="never")
    handles = [deployment.dispatch(in_thread, script) for _ in range(SLOTS)]
    for handle in handles:
        deployment.wait_for_step(handle, "step-2")

    rq.process.kill(tree=False)
    deployment.wait_for_ends()

    assert {(each.job().crashes, each.job().errors) for each in handles} == {(1, 0)}
    for handle in handles:
        recovered = [e for e in deployment.app.ledger.events(handle.id) if e.kind == "recover"]
        assert [event.detail["reason"] for event in recovered] == ["worker died"]
        assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 2}
    assert_promises_kept(deployment)


@pytest.mark.fault("F52")
@ON_SQLITE
def test_a_supervisor_says_which_of_its_workers_died(
    deployment: Deployment, environment: pytest.MonkeyPatch
) -> None:
    # Longer than any test waits: the only look of a neighbour is that of the restarted worker.
    environment.setenv("FAILSOFT_LEASE", "1h")
    supervised = deployment.command("rq", "threads")
    wait_until(deployment.live_pids, PATIENCE, "a live worker")
    handle = deployment.dispatch(
        in_thread, Script(steps=2, halt_at=2, gate="never"), engines=("rq",)
    )
    deployment.wait_for_step(handle, "step-2")
    (worker,) = [each for each in supervised.process.tree() if is_worker(each)]

    worker.kill()
    deployment.wait_for_ends()

    assert (handle.job().crashes, handle.job().errors) == (1, 0)
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 2}
    assert_promises_kept(deployment)


@pytest.mark.fault("F52", "F16")
@ON_SQLITE
def test_a_worker_whose_beat_is_overdue_keeps_its_job(deployment: Deployment, gate: Path) -> None:
    rq, _ = deployment.workers("threads", **LONG_LEASE, **SHORT_LIFE)
    handle = deployment.dispatch(in_thread, Script(steps=2, halt_at=1, gate=str(gate)))
    deployment.wait_for_step(handle, "step-1")

    deployment.freeze(rq)
    wait_until(lambda: rq.process.pid not in deployment.live_pids(), PATIENCE, "it is silent")
    for _ in range(5):
        deployment.app.maintenance.tick()
    silent = handle.job()
    gate.touch()
    rq.process.thaw()
    deployment.wait_for_ends()

    assert (silent.epoch, silent.crashes) == (1, 0)
    assert (handle.job().claims, handle.job().crashes) == (1, 0)
    assert_each_ran_once(deployment)


def is_worker(process: psutil.Process) -> bool:
    return WORKER[-1] in words_of(process)
