"""`failsoft worker` keeps its workers running, and leaves nothing behind however it ends."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from failsoft.job_engine import JobState
from failsoft.worker.exit_codes import CONFIG
from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.servers.processes import Process, Processes, is_alive, wait_until, words_of

GATES = (pytest.param("gate", marks=pytest.mark.long), "gate-in-child")


@pytest.mark.parametrize("name", GATES)
def test_sigterm_lets_an_attempt_give_its_job_back_at_its_next_step(
    live_cli: CommandLine, name: str
) -> None:
    worker = start_worker(live_cli, name)
    job_id, gate = dispatch_to_gate(live_cli, name)

    worker.signal(signal.SIGTERM)
    wait_until(lambda: not live_workers(live_cli), PATIENCE, "no heartbeat while stopping")
    gate.touch()

    assert worker.wait(PATIENCE) == 0
    assert worker.tree() == []
    assert_given_back(live_cli, job_id)


@pytest.mark.parametrize("name", GATES)
def test_a_second_signal_gives_the_job_back_at_once(live_cli: CommandLine, name: str) -> None:
    worker = start_worker(live_cli, name)
    job_id, _ = dispatch_to_gate(live_cli, name)

    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGINT)

    # Without the second one it would have waited for the grace of 25 s.
    assert worker.wait() == 0
    assert worker.tree() == []
    assert_given_back(live_cli, job_id)


def test_a_sigkill_of_the_supervisor_leaves_no_process_behind(live_cli: CommandLine) -> None:
    worker = live_cli.start("worker", "rq", "--queue", "threads", "--queue", "children")
    live_cli.wait_for_workers(2)
    dispatch_to_gate(live_cli, "gate")
    dispatch_to_gate(live_cli, "gate-in-child")
    family = worker.tree()
    assert any(map(is_template, family))

    os.kill(worker.pid, signal.SIGKILL)

    # The supervisor, the template of its two workers, and the fork server with the child of an
    # attempt.
    assert len(family) >= 6
    wait_until(lambda: not any(map(is_alive, family)), PATIENCE, f"the end of {family}")


def test_a_sigkill_of_a_worker_takes_its_children_with_it(
    live_cli: CommandLine, processes: Processes
) -> None:
    module = "failsoft.worker"
    worker = processes.python("-m", module, "rq", "children", env=live_cli.env)
    live_cli.wait_for_workers(1)
    dispatch_to_gate(live_cli, "gate-in-child")
    family = worker.tree()

    os.kill(worker.pid, signal.SIGKILL)

    assert len(family) >= 3
    wait_until(lambda: not any(map(is_alive, family)), PATIENCE, f"the end of {family}")


def test_a_worker_that_died_is_started_again(live_cli: CommandLine) -> None:
    worker = live_cli.start("worker", "dramatiq", "--queue", "threads")
    (victim,) = live_cli.wait_for_workers(1)

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: live_workers(live_cli) - {victim}, PATIENCE, "another worker")
    assert "worker dramatiq:threads was killed by SIGKILL; starts again" in worker.output
    assert worker.terminate(PATIENCE) == 0


@pytest.mark.long
def test_each_of_several_processes_of_a_queue_is_started_again(live_cli: CommandLine) -> None:
    worker = live_cli.start("worker", "rq", "--queue", "threads", "--processes", "2")
    victim, other = live_cli.wait_for_workers(2)

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: live_workers(live_cli) - {victim, other}, PATIENCE, "another worker")
    assert other in live_workers(live_cli)
    assert worker.terminate(PATIENCE) == 0
    assert worker.tree() == []


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL]
)
def test_a_worker_that_ends_while_it_starts_leaves_nothing_behind(
    live_cli: CommandLine, number: signal.Signals
) -> None:
    worker = live_cli.start("worker", "rq")
    wait_until(lambda: _workers(worker), PATIENCE, "a worker process")
    family = _offspring(worker)

    worker.signal(number)

    # The offspring of one that was killed notice as soon as they have loaded.
    assert worker.wait(PATIENCE) == (0 if number is signal.SIGTERM else -number)
    wait_until(lambda: not any(map(is_alive, family)), PATIENCE, f"the end of {family}")


def test_a_url_that_only_a_worker_reads_ends_the_supervisor(live_cli: CommandLine) -> None:
    answer = live_cli.run("worker", "rq", "--queue", "threads", REDIS_URL="redis://localhost:port")

    assert answer.status == CONFIG
    assert answer.err.count("expected a Redis URL") == 1
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_a_worker_is_known_as_soon_as_it_serves(live_cli: CommandLine, engine: str) -> None:
    live_cli.env |= {"FAILSOFT_WORKER_BEAT": "1h", "FAILSOFT_WORKER_TTL": "4h"}
    worker = live_cli.start("worker", engine, "--queue", "threads")

    live_cli.wait_for_workers(1)

    # It would take more memory than it saves.
    assert not any(map(is_template, worker.tree()))
    assert worker.terminate(PATIENCE) == 0


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_a_worker_says_what_it_serves_and_runs_the_jobs_of_a_module(
    live_cli: CommandLine, engine: str
) -> None:
    live_cli.env["FAILSOFT_ENGINES"] = engine
    worker = live_cli.start("worker", engine, "--queue", "threads", "--queue", "children", "--json")
    live_cli.wait_for_workers(2)

    answers = [
        live_cli.run("dispatch", name, '{"numbers": [40, 2]}', "--wait", "--json").json
        for name in ("add", "add-in-child")
    ]

    assert [(each["result"], each["engine"]) for each in answers] == [(42, engine)] * 2
    served = next(json.loads(line) for line in worker.output.splitlines() if '"serves"' in line)
    assert served == {"pid": worker.pid, "serves": [f"{engine}:threads", f"{engine}:children"]}


def test_maintenance_alone_offers_a_job_that_no_engine_took(live_cli: CommandLine) -> None:
    away = {"REDIS_URL": "redis://127.0.0.1:1/0", "AMQP_URL": "redis://127.0.0.1:2/0"}
    parked = live_cli.run("dispatch", "add", '{"numbers": [1]}', "--json", **away).json

    maintenance = live_cli.start("worker", "maintenance")

    assert parked["state"] == "scheduled"
    live_cli.wait_for_state(parked["id"], JobState.OFFERED)
    assert live_workers(live_cli) == set()
    assert maintenance.terminate(PATIENCE) == 0
    assert maintenance.tree() == []


def start_worker(cli: CommandLine, name: str) -> Process:
    """Start a worker for the queue of a gate."""
    queue = "children" if name.endswith("child") else "threads"
    worker = cli.start("worker", "rq", "--queue", queue)
    cli.wait_for_workers(1)
    return worker


def dispatch_to_gate(cli: CommandLine, name: str) -> tuple[str, Path]:
    """Dispatch a job that waits for a file, and wait until it does."""
    gate = cli.folder / f"{name}-opened"
    answer = cli.run("dispatch", name, json.dumps({"path": str(gate)}), "--json")
    reached = Path(f"{gate}-reached")
    wait_until(reached.exists, PATIENCE, f"{name} waits at its gate")
    return answer.json["id"], gate


def live_workers(cli: CommandLine) -> set[int]:
    with cli.ledger() as ledger:
        return {worker.pid for worker in ledger.live_workers()}


def _offspring(worker: Process) -> list[psutil.Process]:
    return worker.tree()[1:]


def _workers(worker: Process) -> list[psutil.Process]:
    return [each for each in _offspring(worker) if is_worker(each)]


def assert_given_back(cli: CommandLine, job_id: str) -> None:
    """The attempt gave its job back, and no other began."""
    first, then = cli.transitions(job_id)[:3], cli.transitions(job_id)[3:]
    assert first == ["dispatch", "claim", "release"]
    # The worker looks after all jobs to its end, and may have offered this one to another.
    assert set(then) <= {"offer", "reoffer", "park"}


def is_template(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return words_of(process) == ["failsoft.worker.template"]
    return False


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "failsoft.worker" in words_of(process)
    return False
