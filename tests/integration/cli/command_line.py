"""The `failsoft` command, run as a user runs it: a real process in a folder of its own."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from failsoft.job_engine import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from tests.servers.fork_server import ForkServer
from tests.servers.processes import PATIENCE, Process, Processes, wait_until

FAILSOFT = Path(sys.executable).parent / "failsoft"

#: The doctor for programs: a test of what it finds gives each check ample time, on a machine with
#: other work, too.
DOCTOR = ("doctor", "--json", "--timeout", "30s")
JOBS = '''
"""Jobs of a user, in the folder where the command is started."""

import logging
from datetime import timedelta
from pathlib import Path
from time import sleep

from pydantic import BaseModel

from failsoft.job_engine import (
    JobContext,
    QueueProfile,
    Retention,
    RetryPolicy,
    Unique,
    declare_queue,
    job,
)

declare_queue(QueueProfile("threads", isolation="thread", slots=2))
declare_queue(QueueProfile("children", isolation="process", slots=2))


class Sum(BaseModel):
    numbers: list[int]


class Gate(BaseModel):
    path: str


def add(numbers: list[int]) -> int:
    logging.getLogger("shop").warning("adding %d numbers", len(numbers))
    return sum(numbers)


def pass_through(path: str) -> None:
    Path(f"{path}-reached").touch()
    while not Path(path).exists():
        sleep(0.01)


def add_up(payload: Sum, ctx: JobContext) -> int:
    ctx.log.info("begins to add")
    return ctx.run("add", add, payload.numbers)


def wait_at_gate(payload: Gate, ctx: JobContext) -> str:
    ctx.run("gate", pass_through, payload.path)
    ctx.run("after", str)
    return "through"


def give_up(payload: Sum, ctx: JobContext) -> int:
    raise ValueError("these numbers do not add up")


once = RetryPolicy(max_attempts=1)
twice = RetryPolicy(max_attempts=2, wait=lambda state: 0.1)
add_in_thread = job(name="add", queue="threads")(add_up)
add_in_child = job(name="add-in-child", queue="children")(add_up)
gate_in_thread = job(name="gate", queue="threads")(wait_at_gate)
gate_in_child = job(name="gate-in-child", queue="children")(wait_at_gate)
fails = job(name="fails", queue="threads", retry=once)(give_up)
fails_twice = job(name="fails-twice", queue="threads", retry=twice)(give_up)
'''


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as one JSON document."""
        assert self.out, f"expected JSON, got nothing but {self.err}"
        return json.loads(self.out)


class CommandLine:
    """Runs `failsoft` in a folder, with an environment that only the test decides.

    Attributes:
        folder: Where it runs.
        env: What the test has set.
        ledger_url: The ledger, for the test to look into.
    """

    def __init__(
        self, folder: Path, processes: Processes, command_server: ForkServer, ledger_url: str
    ) -> None:
        self.folder = folder
        self.ledger_url = ledger_url
        self.env: dict[str, str] = {
            "FAILSOFT_LEDGER_URL": ledger_url,
            # What a worker has running of itself is no job of the test's.
            "FAILSOFT_PRUNE": "off",
            # Ports without a listener.
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "AMQP_URL": "redis://127.0.0.1:2/0",
        }
        self._processes = processes
        self._command_server = command_server

    def run(self, *words: str, **env: str) -> Answer:
        """Run a command to its end."""
        with TemporaryDirectory() as place:
            out, err = Path(place) / "out", Path(place) / "err"
            all_env = {**os.environ, **self.env, **env}
            files = {"log": out, "errors": err, "cwd": self.folder}
            command = self._command_server.fork(
                "failsoft.worker.cli", words, env=all_env, **files, program="failsoft"
            )
            return Answer(command.wait(), out.read_text(), err.read_text())

    def start(self, *words: str, **env: str) -> Process:
        """Start a command that goes on; where modules are found elsewhere, the installed script."""
        given = {**self.env, **env}
        if "PYTHONPATH" in given:
            return self._processes.start(FAILSOFT, *words, env=given)
        return self._processes.fork_command(self._command_server, *words, env=given)

    def write_jobs(self, text: str = JOBS, module: str = "shop_jobs") -> None:
        """Write a module of jobs and let the commands import it."""
        (self.folder / f"{module}.py").write_text(text)
        self.env["FAILSOFT_JOBS"] = module

    def upgrade(self) -> None:
        """Bring the ledger up to date."""
        database = Database(self.ledger_url)
        upgrade(database)
        database.close()

    @contextmanager
    def ledger(self) -> Iterator[SqlLedger]:
        """Lend the ledger."""
        database = Database(self.ledger_url)
        yield SqlLedger(database)
        database.close()

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        with self.ledger() as ledger:
            return ledger.counts()

    def state(self, job_id: str) -> JobState:
        with self.ledger() as ledger:
            return ledger.get(job_id).state

    def transitions(self, job_id: str) -> list[str]:
        """What has happened to a job, in order."""
        with self.ledger() as ledger:
            return [event.kind for event in ledger.events(job_id)]

    def wait_for_state(self, job_id: str, state: JobState) -> None:
        wait_until(lambda: self.state(job_id) is state, PATIENCE, f"{job_id} has {state}")

    def wait_for_workers(self, count: int) -> list[int]:
        """Wait until that number of workers has a heartbeat; return their process ids."""
        with self.ledger() as ledger:
            return wait_until(lambda: _enough(ledger, count), PATIENCE, f"{count} live workers")


def _enough(ledger: SqlLedger, count: int) -> list[int]:
    pids = [worker.pid for worker in ledger.live_workers()]
    return pids if len(pids) >= count else []
