"""Workers of a Celery application run jobs, where the application serves a queue of Failsoft's."""

import os
import signal
from pathlib import Path

import pytest
from celery import Celery

from failsoft.job_engine import JobState
from tests.deployments.deployment import JOBS, Deployment, Worker
from tests.deployments.effect_log import ENGINE
from tests.deployments.promises import assert_each_ran_once
from tests.jobs.elsewhere_allowed import start_children, wait_for_celery
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

APP = "tests.jobs.celery_app"
#: One ledger is enough: what differs between ledgers is not on trial.
pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


@pytest.fixture
def addresses(upgraded_ledger_url: str, valkey: Valkey) -> dict[str, str]:
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_ENGINES": "celery",
        "FAILSOFT_CELERY_BROKER_URL": valkey.url,
        "FAILSOFT_JOBS": f"{JOBS},tests.jobs.elsewhere_allowed",
    }


def start(deployment: Deployment, *options: str, queues: str = "celery,failsoft-threads") -> Worker:
    words = ("-m", "celery", "-A", APP, "worker", "--concurrency", "2", "--queues", queues)
    return Worker(deployment.processes.python(*words, *options, env={ENGINE: "celery"}))


def wait_for_workers(deployment: Deployment, count: int) -> None:
    wait_until(lambda: len(deployment.live_pids()) == count, PATIENCE, f"{count} live workers")


def test_jobs_run_in_the_pool_beside_the_teams_own_tasks(
    deployment: Deployment, valkey: Valkey, tmp_path: Path
) -> None:
    worker = start(deployment)
    wait_for_workers(deployment, 2)
    theirs = tmp_path / "theirs"
    with Celery(broker=valkey.url, set_as_current=False, fixups=()) as client:
        client.send_task("theirs.touch", [str(theirs)])

    deployment.dispatch_many(5, in_thread)
    deployment.dispatch(wait_for_celery, Script(steps=1))
    deployment.dispatch(start_children, Script(steps=1))
    deployment.wait_for_ends()

    wait_until(theirs.exists, PATIENCE, "their own task has run")
    assert_each_ran_once(deployment)
    assert worker.process.terminate(PATIENCE) == 0
    assert deployment.live_pids() == set()


def test_a_job_of_a_killed_process_of_the_pool_goes_on_in_another(
    deployment: Deployment, gate: Path
) -> None:
    start(deployment)
    wait_for_workers(deployment, 2)
    handle = deployment.dispatch(in_thread, Script(steps=3, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(handle, "step-2")

    os.kill(deployment.effect_log.begun(handle.id)[-1].pid, signal.SIGKILL)
    gate.touch()
    deployment.wait_for_ends()

    assert handle.job().state is JobState.SUCCEEDED
    assert deployment.effect_log.times_begun(handle.id)["step-1"] == 1
    assert deployment.effect_log.engines(handle.id) == ["celery"] * 2


@pytest.mark.parametrize(
    ("options", "queues", "said"),
    [
        (("--pool", "threads"), "celery,failsoft-threads", "prefork or solo, got thread"),
        ((), "celery", "a worker that takes from failsoft-threads"),
    ],
)
def test_what_cannot_serve_says_so_and_sends_no_heartbeat(
    deployment: Deployment, options: tuple[str, ...], queues: str, said: str
) -> None:
    worker = start(deployment, *options, queues=queues)

    worker.process.wait_for_output(said)

    assert deployment.live_pids() == set()
    assert worker.process.terminate(PATIENCE) == 0
