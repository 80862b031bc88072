"""Workers prune what need be kept no longer by themselves, unless a setting turns that off."""

from failsoft.job_engine import JobState
from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.servers.processes import wait_until

JOBS = """
from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine import JobContext, Retention, job


class Note(BaseModel):
    text: str


@job(keep_succeeded=Retention(age=timedelta(days=1), count=1))
def note(payload: Note, ctx: JobContext) -> str:
    return payload.text
"""


def test_ended_jobs_beyond_their_retention_go_without_a_command(live_cli: CommandLine) -> None:
    live_cli.write_jobs(JOBS, "notes")
    live_cli.env |= {"FAILSOFT_JOBS": "notes", "FAILSOFT_PRUNE": "1s"}
    live_cli.start("worker", "rq", "--queue", "default", "--queue", "scheduled")
    live_cli.wait_for_workers(2)

    for text in ("one", "two", "three"):
        answer = live_cli.run("dispatch", "note", f'{{"text": "{text}"}}', "--json")
        live_cli.wait_for_state(answer.json["id"], JobState.SUCCEEDED)

    def kept() -> list[str]:
        listed = live_cli.run("jobs", "list", "--name", "note", "--json").json
        return [each["id"] for each in listed]

    wait_until(lambda: kept() == [answer.json["id"]], PATIENCE, "the newest alone is kept")
