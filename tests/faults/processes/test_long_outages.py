"""F44: the ledger's trouble is never the job's: outages longer than a lease, and refusals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGTERM

import pytest
from sqlalchemy import text

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, Deployment, ScriptedJob, Worker
from tests.deployments.promises import assert_promises_kept
from tests.faults.support import ON_POSTGRESQL, ON_SQLITE, OUR_JOBS
from tests.jobs.fault_jobs import (
    gated_in_child,
    gated_in_thread,
    lingering_in_child,
    lingering_in_thread,
    swallowing_in_child,
    swallowing_in_thread,
)
from tests.jobs.scripted import Script
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy

OUTAGES = 4

#: Refuses every finished step, as a full tablespace or a permission that is gone would.
REFUSE_STEPS = """
CREATE TRIGGER refuse_steps BEFORE INSERT ON failsoft_steps
BEGIN SELECT RAISE(ABORT, 'no steps today'); END
"""


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("FAILSOFT_JOBS", OUR_JOBS)
    return environment


@pytest.mark.fault("F44")
@ON_POSTGRESQL
@pytest.mark.parametrize("job", [gated_in_thread, gated_in_child], ids=["thread", "process"])
def test_a_job_that_lives_through_long_outages_ends_by_its_own_merits(
    deployment: Deployment, postgres: Postgres, gate: Path, job: ScriptedJob
) -> None:
    rq, _ = deployment.workers(job.queue.name, **SHORT_LEASE)
    script = Script(steps=OUTAGES + 1, gate=str(gate))
    handle = deployment.dispatch(job, script, engines=("rq",))

    for number in range(1, OUTAGES + 1):
        deployment.wait_for_step(handle, f"step-{number}", attempt=number)
        children = len(rq.process.tree())
        postgres.stop()
        wait_until(has_stopped(rq, job, number, children), PATIENCE, "the attempt has stopped")
        postgres.start()
        deployment.wait_for_step(handle, f"step-{number}", attempt=number + 1)
        gate.with_name(f"gate-{number}").touch()
    gate.with_name(f"gate-{OUTAGES + 1}").touch()
    deployment.wait_for_ends()

    ended = handle.job()
    assert (ended.state, ended.crashes, ended.errors) == (JobState.SUCCEEDED, 0, 0)
    assert ended.releases == OUTAGES
    assert reasons(deployment, handle) == ["ledger away"] * OUTAGES
    again = {f"step-{number}": 2 for number in range(1, OUTAGES + 1)}
    assert deployment.effect_log.times_begun(handle.id) == again | {f"step-{OUTAGES + 1}": 1}
    assert_promises_kept(deployment)


@pytest.mark.fault("F44")
@ON_POSTGRESQL
def test_a_worker_that_alone_was_cut_off_takes_back_the_crash_it_was_charged(
    deployment: Deployment, ledger_by_proxy: dict[str, str], proxy_to_postgres: TcpProxy, gate: Path
) -> None:
    deployment.workers("threads", **SHORT_LEASE, **ledger_by_proxy)
    handle = deployment.dispatch(gated_in_thread, Script(steps=1, gate=str(gate)))
    deployment.wait_for_step(handle, "step-1")

    proxy_to_postgres.refuse()
    deployment.wait_for_step(handle, "step-1", attempt=2)
    assert_taken_back(deployment, handle, proxy_to_postgres, gate.with_name("gate-1"))


@pytest.mark.fault("F44")
@ON_POSTGRESQL
@pytest.mark.parametrize(
    "job", [lingering_in_thread, lingering_in_child], ids=["thread", "process"]
)
def test_an_end_that_the_outage_made_late_takes_back_the_crash_too(  # noqa: PLR0917 - fixtures
    deployment: Deployment,
    ledger_by_proxy: dict[str, str],
    proxy_to_postgres: TcpProxy,
    gate: Path,
    job: ScriptedJob,
) -> None:
    deployment.workers(job.queue.name, **SHORT_LEASE, **ledger_by_proxy)
    handle = deployment.dispatch(job, Script(steps=1, gate=str(gate)))
    wait_until(lambda: deployment.app.ledger.steps(handle.id), PATIENCE, "the step is recorded")

    proxy_to_postgres.refuse()
    gate.with_name("gate-1").touch()
    attempts = partial(deployment.app.ledger.attempts, handle.id)
    wait_until(lambda: len(attempts()) > 1, PATIENCE, "the second attempt has begun")
    assert_taken_back(deployment, handle, proxy_to_postgres, gate.with_name("gate-2"))


def assert_taken_back(
    deployment: Deployment, handle: JobHandle[int], proxy: TcpProxy, gate: Path
) -> None:
    """A job in its second attempt is rid of its crash when the first owner is back."""
    charged = handle.job().crashes
    proxy.heal()
    wait_until(lambda: handle.job().crashes == 0, PATIENCE, "the crash is taken back")
    gate.touch()
    deployment.wait_for_ends()

    assert charged == 1
    outcomes = [each.outcome for each in deployment.app.ledger.attempts(handle.id)]
    assert outcomes == ["recover", "succeed"]
    assert deployment.kinds(handle).count("uncharge") == 1
    assert_promises_kept(deployment)


@pytest.mark.fault("F44")
@ON_SQLITE
@pytest.mark.parametrize(
    "job", [swallowing_in_thread, swallowing_in_child], ids=["thread", "process"]
)
def test_a_ledger_that_refuses_is_no_error_of_a_job_that_swallows_errors(
    deployment: Deployment, job: ScriptedJob
) -> None:
    rq, _ = deployment.workers(job.queue.name)
    with refusing(deployment):
        handle = deployment.dispatch(job, Script(steps=2), engines=("rq",))
        wait_until(lambda: handle.job().releases, PATIENCE, "the job is given back")
    deployment.wait_for_ends()

    ended = handle.job()
    assert (ended.state, ended.crashes, ended.errors) == (JobState.SUCCEEDED, 0, 0)
    assert all(why.startswith("ledger refused: ") for why in reasons(deployment, handle))
    reported = rq.logged("job.refused")
    assert {line["level"] for line in reported} == {"warning"}
    assert all("no steps today" in line["exception"] for line in reported)
    assert {step.name for step in deployment.app.ledger.steps(handle.id)} == {"step-1", "step-2"}
    assert_promises_kept(deployment)


@pytest.mark.fault("F44")
@ON_POSTGRESQL
def test_a_worker_that_stops_in_an_outage_gives_its_claim_back_when_the_ledger_returns(
    deployment: Deployment, postgres: Postgres, gate: Path
) -> None:
    rq, _ = deployment.workers("threads", **SHORT_LEASE)
    handle = deployment.dispatch(gated_in_thread, Script(steps=1, gate=str(gate)))
    deployment.wait_for_step(handle, "step-1")

    postgres.stop()
    wait_until(has_stopped(rq, gated_in_thread, 1), PATIENCE, "the attempt has stopped")
    rq.process.signal(SIGTERM)
    postgres.start()
    gate.with_name("gate-1").touch()
    deployment.wait_for_ends()
    wait_until(lambda: not rq.process.is_running, PATIENCE, "the worker has stopped")

    assert (handle.job().crashes, handle.job().errors) == (0, 0)
    assert deployment.kinds(handle).count("release") == 1
    assert_promises_kept(deployment)


def has_stopped(
    worker: Worker, job: ScriptedJob, times: int, children: int = 0
) -> Callable[[], bool]:
    """Whether an attempt has stopped by itself; a child is killed, and its parent reports it."""
    if job.queue.name == "threads":
        return lambda: len(worker.logged("job.fenced")) >= times
    return lambda: len(worker.process.tree()) < children


def reasons(deployment: Deployment, handle: JobHandle[int]) -> list[str]:
    events = deployment.app.ledger.events(handle.id)
    return [str(event.detail["reason"]) for event in events if event.kind == "release"]


@contextmanager
def refusing(deployment: Deployment) -> Iterator[None]:
    database = deployment.app.ledger.database
    database.write(lambda c: c.execute(text(REFUSE_STEPS)))
    yield
    database.write(lambda c: c.execute(text("DROP TRIGGER refuse_steps")))
