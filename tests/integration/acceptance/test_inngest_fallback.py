"""Redis first, Inngest as the fallback: `FAILSOFT_ENGINES=rq,inngest`, the same jobs on both."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from failsoft.job_engine import JobState
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, Deployment, ScriptedJob
from tests.deployments.promises import assert_all_on, assert_each_ran_once, assert_promises_kept
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.inngest_server import InngestServer
from tests.servers.processes import Processes, free_port, is_alive, wait_until
from tests.servers.valkey import Valkey

ROOT = Path(__file__).parents[3]
README = ROOT / "engines" / "inngest" / "README.md"
#: A job of ten steps that is caught in its sixth, in its first attempt.
TEN = [f"step-{number}" for number in range(1, 11)]

EVERY_ISOLATION = pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])


@pytest.fixture
def inngest_server(tmp_path: Path) -> Iterator[InngestServer]:
    with InngestServer(tmp_path) as server:
        yield server


@pytest.fixture
def addresses(
    upgraded_ledger_url: str, valkey: Valkey, inngest_server: InngestServer
) -> dict[str, str]:
    keys = {f"FAILSOFT_INNGEST_{k.upper()}": v for k, v in inngest_server.settings.items()}
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_REDIS_URL": valkey.url,
        "FAILSOFT_ENGINES": "rq,inngest",
        **keys,
    }


def test_without_rq_the_same_jobs_run_on_inngest(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("USE_RQ", "false")
    deployment: Deployment = request.getfixturevalue("deployment")
    for queue in ("threads", "children"):
        deployment.wait_for(deployment.worker("inngest", queue))

    for job in (in_thread, in_child):
        for _ in range(5):
            deployment.dispatch(job, Script(steps=3))
        deployment.dispatch(job, Script(steps=2, nap=0.3))
        deployment.dispatch(job, Script(steps=2, once=True))
    deployment.wait_for_ends()

    assert {each.dispatched.engine for each in deployment.handles} == {"inngest"}
    assert_each_ran_once(deployment)
    assert {each for handle in deployment.handles for each in _engines(deployment, handle.id)} == {
        "inngest"
    }


@EVERY_ISOLATION
def test_a_job_whose_rq_worker_is_killed_goes_on_with_inngest_after_its_last_finished_step(
    deployment: Deployment, job: ScriptedJob
) -> None:
    rq = deployment.worker("rq", job.queue.name, **SHORT_LEASE)
    deployment.wait_for(rq, deployment.worker("inngest", job.queue.name))
    handle = deployment.dispatch(job, Script(steps=10, halt_at=6, gate="never"))
    deployment.wait_for_step(handle, "step-6")

    tree = rq.process.tree()
    rq.process.kill(tree=False)
    wait_until(lambda: not any(map(is_alive, tree)), PATIENCE, "its children are gone, too")
    deployment.wait_for_ends()

    assert handle.job().state is JobState.SUCCEEDED
    assert deployment.effect_log.times_begun(handle.id) == dict.fromkeys(TEN, 1) | {"step-6": 2}
    assert deployment.effect_log.engines(handle.id) == ["rq", "inngest"]
    assert (handle.job().crashes, handle.job().errors) == (1, 0)
    assert_promises_kept(deployment)


def test_redis_killed_before_dispatch_costs_one_try_and_inngest_runs_the_jobs(
    deployment: Deployment, valkey: Valkey
) -> None:
    deployment.wait_for(*(deployment.worker(each, "threads") for each in ("rq", "inngest")))
    valkey.kill()

    first = deployment.dispatch(in_thread)
    second = deployment.dispatch(in_thread)
    deployment.wait_for_ends()

    accepted = ("inngest", "offer", "accepted")
    assert deployment.tries(first) == [("rq", "offer", "unavailable"), accepted]
    assert deployment.tries(second) == [("rq", "breaker", "skipped"), accepted]
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "inngest")


def test_what_waits_at_an_inngest_that_dies_runs_on_rq(
    deployment: Deployment, inngest_server: InngestServer
) -> None:
    inngest = deployment.worker("inngest", "threads")
    deployment.wait_for(inngest)
    deployment.freeze(inngest)
    handles = deployment.dispatch_many(5, in_thread, engines=("inngest", "rq"))
    assert {each.dispatched.engine for each in handles} == {"inngest"}

    inngest_server.kill()
    inngest.process.kill()
    deployment.wait_for(deployment.worker("rq", "threads"))
    deployment.wait_for_ends()

    assert_each_ran_once(deployment)
    assert_all_on(deployment, "rq")


def test_the_readmes_program_runs_a_job_through_its_mount(
    tmp_path: Path, ledger_url: str, processes: Processes
) -> None:
    found = re.search(r"<!-- program -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    port, worker_port = free_port(), free_port()
    (tmp_path / "app.py").write_text(found.group(1).replace("8290", str(worker_port)))
    with InngestServer(tmp_path, signing_key="") as server:
        env = {
            "PYTHONPATH": str(tmp_path),
            "FAILSOFT_JOBS": "app",
            "FAILSOFT_ENGINES": "inngest",
            "FAILSOFT_LEDGER_URL": ledger_url,
            "FAILSOFT_INNGEST_URL": server.url,
            "FAILSOFT_INNGEST_PORT": str(worker_port),
            "FAILSOFT_INNGEST_SERVE_URL": f"http://127.0.0.1:{port}/api/inngest",
        }
        failsoft = Path(sys.executable).parent / "failsoft"
        assert processes.start(failsoft, "ledger", "upgrade", env=env).wait() == 0
        web = processes.python("-m", "uvicorn", "--port", str(port), "app:app", env=env)
        worker = processes.start(failsoft, "worker", "inngest", "--queue", "default", env=env)
        web.wait_for_output("Application startup complete")
        wait_until(
            lambda: server.functions() or not worker.is_running, PATIENCE, "the worker registers"
        )
        assert worker.is_running, worker.tail

        url = f"http://127.0.0.1:{port}/hello/Ada"
        job = httpx.post(url, timeout=PATIENCE).json()["job"]

        wait_until(lambda: server.runs()["ended"], PATIENCE, f"the job is called\n{worker.tail}")
        (run,) = server.runs()["ended"]
        assert (run["answers"], run["state"]) == ([200], "completed")
        assert run["event"]["data"]["job_id"] == job
        shown = (failsoft, "jobs", "show", job, "--json")
        wait_until(
            lambda: '"succeeded"' in _output(processes, shown, env), PATIENCE, "the job succeeds"
        )
        assert "/api/inngest/default" in web.output


def _engines(deployment: Deployment, job_id: str) -> list[str]:
    return [each.engine for each in deployment.app.ledger.attempts(job_id)]


def _output(processes: Processes, command: tuple[str | Path, ...], env: dict[str, str]) -> str:
    process = processes.start(*command, env=env)
    process.wait()
    return process.output
