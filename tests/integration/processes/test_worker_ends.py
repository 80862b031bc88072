"""An engine's worker that ends by itself charges no attempt that runs beside it."""

from pathlib import Path

from failsoft.job_engine import JobState
from tests.integration.processes.conftest import ProcessDeployment
from tests.jobs.process_jobs import THREADS, Gate, Nothing
from tests.servers.processes import PATIENCE, wait_until


def test_its_attempts_give_their_jobs_back(deployment: ProcessDeployment, tmp_path: Path) -> None:
    worker = deployment.start_worker("dramatiq", THREADS)
    payload = Gate(begun=tmp_path / "begun", gate=tmp_path / "gate")
    running = deployment.dispatch("steps-until", THREADS, payload, "dramatiq")
    wait_until(payload.begun.exists, PATIENCE, "the job runs")

    deployment.dispatch("end-consumers", THREADS, Nothing(), "dramatiq")
    wait_until(lambda: not worker.is_running, PATIENCE, "the worker ends")

    assert (running.job().errors, running.job().crashes) == (0, 0), running.job().error
    deployment.start_worker("dramatiq", THREADS)
    payload.gate.touch()
    assert deployment.end_of(running).state is JobState.SUCCEEDED
