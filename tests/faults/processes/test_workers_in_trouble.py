"""F16, F17, F18 and F29: a worker halts, starves, loses its ledger, or runs other code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, Play, Stage
from tests.deployments.effect_log import ENDED
from tests.deployments.promises import assert_each_ran_once, assert_promises_kept
from tests.faults.support import ON_POSTGRESQL, ON_SQLITE, OUR_JOBS, by_road, let_pass
from tests.jobs.fault_jobs import FIRST_STEP, once_only, renamed, starved
from tests.jobs.scripted import Act, in_child, in_thread
from tests.servers.postgresql.postgres import Postgres
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


@pytest.fixture
def ledger_by_proxy(
    postgres: Postgres, ledger_url: str, road_to_postgres: TcpProxy
) -> dict[str, str]:
    return {"FAILSOFT_LEDGER_URL": by_road(ledger_url, postgres.port, road_to_postgres)}


@pytest.mark.fault("F16")
@ON_SQLITE
def test_a_worker_that_halts_for_less_than_its_lease_keeps_its_job(
    stage: Stage, gate: Path
) -> None:
    rq, _ = stage.workers("threads")
    handle = stage.dispatch(in_thread, Act(steps=2, halt_at=1, gate=str(gate)))
    stage.wait_for_step(handle, "step-1")

    stage.freeze(rq)
    let_pass(BRIEFLY)
    gate.touch()
    rq.process.thaw()
    stage.wait_for_ends()

    assert (handle.job().claims, handle.job().crashes) == (1, 0)
    assert_each_ran_once(stage)


@pytest.mark.fault("F17")
@ON_SQLITE
def test_a_worker_whose_job_starves_the_renewal_loses_it_and_records_nothing(
    stage: Stage,
) -> None:
    rq, _ = stage.workers("threads", **SHORT_LEASE)

    handle = stage.dispatch(starved, Act(steps=2, pace=TWO_LEASES))
    stage.wait_for_ends()
    wait_until(lambda: rq.told("job.fenced"), PATIENCE, "the starved attempt is fenced")

    ends = [each.outcome for each in stage.app.ledger.attempts(handle.id)]
    assert ends == ["recover", "succeed"]
    assert stage.witness.engines(handle.id) == ["rq", "dramatiq"]
    assert stage.witness.times_begun(handle.id) == {"step-1": 2, "step-2": 1}
    assert_promises_kept(stage)


@pytest.mark.fault("F18")
@ON_POSTGRESQL
@pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])
def test_a_worker_that_lost_its_ledger_stops_by_itself_and_its_job_goes_on(
    stage: Stage, ledger_by_proxy: dict[str, str], road_to_postgres: TcpProxy, job: Play
) -> None:
    rq, _ = stage.workers(job.queue.name, **SHORT_LEASE, **ledger_by_proxy)
    handle = stage.dispatch(job, Act(steps=3, halt_at=2, gate="never"))
    stage.wait_for_step(handle, "step-2")
    children = rq.process.tree()

    road_to_postgres.blackhole()
    stopped: Callable[[], object] = {
        "threads": lambda: rq.told("job.fenced"),
        "children": lambda: len(rq.process.tree()) < len(children),
    }[job.queue.name]
    wait_until(stopped, PATIENCE, "the attempt has stopped while the ledger is still away")
    stage.wait_for_ends()

    ended = {(line.engine, line.step) for line in stage.witness.lines() if line.what == ENDED}
    assert ended == {("rq", "step-1"), ("dramatiq", "step-2"), ("dramatiq", "step-3")}
    assert_promises_kept(stage)


@pytest.mark.fault("F29")
@ON_SQLITE
def test_a_job_that_goes_on_in_code_with_other_steps_is_held(stage: Stage) -> None:
    rq = stage.worker("rq", "threads", **SHORT_LEASE)
    stage.wait_for(rq)
    handle = stage.dispatch(renamed, Act(steps=2, halt_at=2, gate="never"))
    stage.wait_for_step(handle, "step-2")

    rq.process.kill()
    stage.wait_for(stage.worker("dramatiq", "threads", **{FIRST_STEP: "a-better-name"}))
    held = lambda: handle.status() is JobState.HELD  # noqa: E731
    wait_until(held, PATIENCE, "the job is held")

    error = handle.job().error
    assert error is not None
    assert error.type.endswith("NonDeterministicJobError")
    assert "a-better-name" in error.message
    assert stage.witness.times_begun(handle.id) == {"step-1": 1, "step-2": 1}
    assert handle.job().epoch > 1


@pytest.mark.fault("F14", "F15")
@ON_SQLITE
@pytest.mark.parametrize("fate", ["killed", "frozen"])
def test_a_job_that_was_cut_off_in_a_step_that_must_not_repeat_is_held(
    stage: Stage, gate: Path, fate: str
) -> None:
    rq, _ = stage.workers("threads", **SHORT_LEASE)
    handle = stage.dispatch(once_only, Act(steps=2, halt_at=2, gate=str(gate)))
    stage.wait_for_step(handle, "step-2")

    {"killed": rq.process.kill, "frozen": lambda: stage.freeze(rq)}[fate]()
    held = lambda: handle.status() is JobState.HELD  # noqa: E731
    wait_until(held, PATIENCE, "the job is held")
    gate.touch()
    rq.process.thaw()
    over = lambda: not rq.process.is_running or rq.told("job.fenced")  # noqa: E731
    wait_until(over, PATIENCE, "the first attempt is over")

    assert stage.witness.times_begun(handle.id) == {"step-1": 1, "step-2": 1}
    assert [each.outcome for each in stage.app.ledger.attempts(handle.id)] == ["recover", "hold"]
