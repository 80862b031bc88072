"""What workers log: a line per transition, each naming its job, the exception at the very end."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from failsoft.job_engine import JobState
from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.servers.processes import Process, wait_until

Line = Mapping[str, Any]


@pytest.mark.parametrize(("name", "queue"), [("add", "threads"), ("add-in-child", "children")])
def test_each_transition_is_one_line_and_each_line_of_a_job_names_it(
    live_cli: CommandLine, name: str, queue: str
) -> None:
    worker = start_worker(live_cli, queue)
    job_id = dispatch(live_cli, name, JobState.SUCCEEDED)

    lines = lines_of(worker, job_id, last="job.succeed")
    assert [line.get("event", line["message"]) for line in lines] == [
        "job.claim",
        "begins to add",
        "adding 2 numbers",
        "job.succeed",
    ]
    assert lines[1]["logger"] == "failsoft.job"
    assert lines[2]["logger"] == "shop"
    for line in lines:
        assert (line["job"], line["attempt"], line["engine"], line["epoch"]) == (name, 1, "rq", 1)
        assert line["queue"] == queue
        assert line["timestamp"].endswith("Z")


def test_only_the_final_failure_is_reported_with_its_exception(live_cli: CommandLine) -> None:
    worker = start_worker(live_cli, "threads")
    job_id = dispatch(live_cli, "fails-twice", JobState.FAILED)

    lines = lines_of(worker, job_id, last="job.fail")
    assert [(line["event"], line["level"]) for line in lines] == [
        ("job.claim", "info"),
        ("job.retry", "warning"),
        ("job.offer", "info"),
        ("job.claim", "info"),
        ("job.fail", "error"),
    ]
    logged = [line for line in lines if "exception" in line]
    assert logged == lines[-1:]
    assert logged[0]["error_type"] == "ValueError"
    assert logged[0]["exception"].endswith("ValueError: these numbers do not add up\n")
    assert "Traceback" not in json.dumps(lines[:-1])


def test_people_get_lines_and_a_readable_traceback(live_cli: CommandLine) -> None:
    live_cli.env |= {"FAILSOFT_LOG_FORMAT": "console"}
    worker = start_worker(live_cli, "threads")

    dispatch(live_cli, "fails", JobState.FAILED)

    worker.wait_for_output("\n  | ValueError: these numbers do not add up\n", PATIENCE)
    assert "\n  |     raise ValueError(" in worker.output


def start_worker(cli: CommandLine, queue: str) -> Process:
    worker = cli.start("worker", "rq", "--queue", queue)
    cli.wait_for_workers(1)
    return worker


def dispatch(cli: CommandLine, name: str, end: JobState) -> str:
    """Dispatch a job and wait for its end."""
    job_id: str = cli.run("dispatch", name, '{"numbers": [1, 2]}', "--json").json["id"]
    cli.wait_for_state(job_id, end)
    return job_id


def lines_of(worker: Process, job_id: str, last: str) -> list[Line]:
    """The log lines of a job, once the last is there."""
    wait_until(lambda: f'"{last}"' in worker.output, PATIENCE, last)
    lines = [json.loads(line) for line in worker.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("job_id") == job_id]
