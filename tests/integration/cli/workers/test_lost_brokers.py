"""A worker says once that its broker is lost, and once that it is back."""

import json
from typing import Any

import pytest

from failsoft.job_engine import JobState
from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.servers.processes import Process, wait_until
from tests.servers.valkey import Valkey

LOST, BACK = "is lost: ", "is back after "


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_a_worker_says_once_that_its_broker_is_lost_and_once_that_it_is_back(
    live_cli: CommandLine, valkey: Valkey, second_valkey: Valkey, engine: str
) -> None:
    server = valkey if engine == "rq" else second_valkey
    worker = start(live_cli, engine)
    live_cli.wait_for_workers(1)

    server.stop()
    wait_for(worker, LOST)
    server.start()
    wait_for(worker, BACK)
    run_a_job(live_cli, engine)

    assert [line["level"] for line in said(worker)] == ["warning", "warning"]
    assert [LOST in line["message"] for line in said(worker)] == [True, False]
    assert "Traceback" not in worker.output


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_a_worker_that_starts_in_an_outage_waits_for_its_end(
    live_cli: CommandLine, valkey: Valkey, second_valkey: Valkey, engine: str
) -> None:
    server = valkey if engine == "rq" else second_valkey
    server.stop()

    worker = start(live_cli, engine)
    wait_for(worker, LOST)
    server.start()
    wait_for(worker, BACK)
    run_a_job(live_cli, engine)

    assert [LOST in line["message"] for line in said(worker)] == [True, False]
    assert "Traceback" not in worker.output
    assert "starts again" not in worker.output


def start(cli: CommandLine, engine: str) -> Process:
    return cli.start("worker", engine, "--queue", "threads")


def run_a_job(cli: CommandLine, engine: str) -> None:
    """Have a job run on the engine that was away."""
    cli.wait_for_workers(1)
    use_rq = {"USE_RQ": str(engine == "rq").lower()}
    job_id = cli.run("dispatch", "add", '{"numbers": [1, 2]}', "--json", **use_rq).json["id"]
    cli.wait_for_state(job_id, JobState.SUCCEEDED)


def wait_for(worker: Process, words: str) -> None:
    wait_until(lambda: words in worker.output, PATIENCE, words)


def said(worker: Process) -> list[dict[str, Any]]:
    """Return what it said of its broker."""
    lines = [json.loads(line) for line in worker.output.splitlines() if line.startswith("{")]
    return [line for line in lines if "broker" in line]
