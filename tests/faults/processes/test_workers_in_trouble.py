"""F16, F17, F18 and F29: a worker halts, starves, loses its ledger, or runs other code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, Deployment, ScriptedJob
from tests.deployments.effect_log import ENDED
from tests.deployments.promises import assert_each_ran_once, assert_promises_kept
from tests.faults.support import ON_POSTGRESQL, ON_SQLITE, OUR_JOBS, let_pass
from tests.jobs.fault_jobs import FIRST_STEP, once_only, renamed, starved
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy

#: Longer than a heartbeat and several looks of a rescuer, and far shorter than the lease.
BRIEFLY = 1.5
#: Twice `SHORT_LEASE`, in seconds.
TWO_LEASES = 4


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("FAILSOFT_JOBS", OUR_JOBS)
    return environment


@pytest.mark.fault("F16")
@ON_SQLITE
def test_a_worker_that_halts_for_less_than_its_lease_keeps_its_job(
    deployment: Deployment, gate: Path
) -> None:
    rq, _ = deployment.workers("threads")
    handle = deployment.dispatch(in_thread, Script(steps=2, halt_at=1, gate=str(gate)))
    deployment.wait_for_step(handle, "step-1")

    deployment.freeze(rq)
    let_pass(BRIEFLY)
    gate.touch()
    rq.process.thaw()
    deployment.wait_for_ends()

    assert (handle.job().claims, handle.job().crashes) == (1, 0)
    assert_each_ran_once(deployment)


@pytest.mark.fault("F17")
@ON_SQLITE
def test_a_worker_whose_job_starves_the_renewal_loses_it_and_records_nothing(
    deployment: Deployment,
) -> None:
    rq, _ = deployment.workers("threads", **SHORT_LEASE)

    handle = deployment.dispatch(starved, Script(steps=2, pace=TWO_LEASES))
    deployment.wait_for_ends()
    wait_until(lambda: rq.logged("job.fenced"), PATIENCE, "the starved attempt is fenced")

    ends = [each.outcome for each in deployment.app.ledger.attempts(handle.id)]
    assert ends == ["recover", "succeed"]
    assert deployment.effect_log.engines(handle.id) == ["rq", "dramatiq"]
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 2, "step-2": 1}
    assert_promises_kept(deployment)


@pytest.mark.fault("F18")
@ON_POSTGRESQL
@pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])
def test_a_worker_that_lost_its_ledger_stops_by_itself_and_its_job_goes_on(
    deployment: Deployment,
    ledger_by_proxy: dict[str, str],
    proxy_to_postgres: TcpProxy,
    job: ScriptedJob,
) -> None:
    rq, _ = deployment.workers(job.queue.name, **SHORT_LEASE, **ledger_by_proxy)
    handle = deployment.dispatch(job, Script(steps=3, halt_at=2, gate="never"))
    deployment.wait_for_step(handle, "step-2")
    children = rq.process.tree()

    proxy_to_postgres.blackhole()
    stopped: Callable[[], object] = {
        "threads": lambda: rq.logged("job.fenced"),
        "children": lambda: len(rq.process.tree()) < len(children),
    }[job.queue.name]
    wait_until(stopped, PATIENCE, "the attempt has stopped while the ledger is still away")
    deployment.wait_for_ends()

    ended = {
        (line.engine, line.step) for line in deployment.effect_log.lines() if line.phase == ENDED
    }
    assert ended == {("rq", "step-1"), ("dramatiq", "step-2"), ("dramatiq", "step-3")}
    assert_promises_kept(deployment)


@pytest.mark.fault("F29")
@ON_SQLITE
def test_a_job_that_goes_on_in_code_with_other_steps_is_held(deployment: Deployment) -> None:
    rq = deployment.worker("rq", "threads", **SHORT_LEASE)
    deployment.wait_for(rq)
    handle = deployment.dispatch(renamed, Script(steps=2, halt_at=2, gate="never"))
    deployment.wait_for_step(handle, "step-2")

    rq.process.kill()
    deployment.wait_for(deployment.worker("dramatiq", "threads", **{FIRST_STEP: "a-better-name"}))
    held = lambda: handle.status() is JobState.HELD  # noqa: E731
    wait_until(held, PATIENCE, "the job is held")

    error = handle.job().error
    assert error is not None
    assert error.type.endswith("NonDeterministicJobError")
    assert "a-better-name" in error.message
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 1}
    assert handle.job().epoch > 1


@pytest.mark.fault("F14", "F15")
@ON_SQLITE
@pytest.mark.parametrize("fate", ["killed", pytest.param("frozen", marks=pytest.mark.long)])
def test_a_job_that_was_cut_off_in_a_step_that_must_not_repeat_is_held(
    deployment: Deployment, gate: Path, fate: str
) -> None:
    rq, _ = deployment.workers("threads", **SHORT_LEASE)
    handle = deployment.dispatch(once_only, Script(steps=2, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(handle, "step-2")

    {"killed": rq.process.kill, "frozen": lambda: deployment.freeze(rq)}[fate]()
    held = lambda: handle.status() is JobState.HELD  # noqa: E731
    wait_until(held, PATIENCE, "the job is held")
    gate.touch()
    rq.process.thaw()
    over = lambda: not rq.process.is_running or rq.logged("job.fenced")  # noqa: E731
    wait_until(over, PATIENCE, "the first attempt is over")

    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 1}
    assert [each.outcome for each in deployment.app.ledger.attempts(handle.id)] == [
        "recover",
        "hold",
    ]
