"""`failsoft schedules` shows what a worker has declared, and steers it."""

import pytest

from failsoft.worker.exit_codes import FAILURE
from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.servers.processes import wait_until

JOBS = """
from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine import Cron, Every, JobContext, job


class Sweep(BaseModel):
    room: str = "hall"


@job(schedule=Cron("30 2 * * *", tz="Europe/Madrid"))
def sweep(payload: Sweep, ctx: JobContext) -> None:
    return None


@job(schedule=Every(timedelta(days=400), payload=Sweep(room="attic")))
def dust(payload: Sweep, ctx: JobContext) -> None:
    return None


@job()
def rest(payload: Sweep, ctx: JobContext) -> None:
    return None
"""


@pytest.fixture
def scheduled_cli(live_cli: CommandLine) -> CommandLine:
    """A command line whose ledger holds the schedules that a process has declared."""
    live_cli.write_jobs(JOBS, "chores")
    live_cli.env["FAILSOFT_PRUNE"] = "90m"
    maintenance = live_cli.start("worker", "maintenance")

    def declared() -> bool:
        with live_cli.ledger() as ledger:
            return len(ledger.schedules()[1]) == 3

    wait_until(declared, PATIENCE, "three schedules")
    maintenance.terminate(PATIENCE)
    return live_cli


def test_schedules_are_listed_and_steered(scheduled_cli: CommandLine) -> None:
    listed = scheduled_cli.run("schedules", "list", "--json").json
    table = scheduled_cli.run("schedules", "list").out
    (paused,) = scheduled_cli.run("schedules", "pause", "sweep", "--json").json
    (resumed,) = scheduled_cli.run("schedules", "resume", "sweep", "--json").json
    triggered = scheduled_cli.run("schedules", "trigger", "dust", "--json").json

    assert [(each["name"], each["state"]) for each in listed] == [
        ("dust", "active"),
        ("prune_ledger", "active"),
        ("sweep", "active"),
    ]
    assert listed[0]["spec"]["payload"] == {"room": "attic"}
    assert listed[1]["spec"]["every"] == 5400.0
    assert listed[2]["spec"]["cron"] == "30 2 * * *"
    assert "30 2 * * *" in table
    assert (paused["state"], resumed["state"]) == ("paused", "active")
    assert (triggered["name"], triggered["payload"]) == ("dust", '{"room":"attic"}')


def test_what_is_no_schedule_is_refused(scheduled_cli: CommandLine) -> None:
    for words in (("pause", "rest"), ("resume", "nothing"), ("trigger", "rest")):
        answer = scheduled_cli.run("schedules", *words)

        assert (answer.status != 0, answer.out) == (True, "")
        assert "schedule" in answer.err

    assert scheduled_cli.run("schedules", "pause", "rest").status == FAILURE
