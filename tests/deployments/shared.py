"""One ledger, both engines and a worker of each, for all features tests of a session."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, Unpack

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import Dispatcher, DispatchOptions, JobHandle
from failsoft.dispatcher.maintenance.cron import spec_of
from failsoft.job_engine import JobDefinition, JobState
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.schedules import ScheduleDeclaration
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.features.jobs.timing.schedules import SECONDLY
from tests.features.queues import QUEUE
from tests.servers.processes import PATIENCE, Process, Processes, wait_until

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

ROOT = Path(__file__).parents[2]

#: Everything that is waited for comes sooner than in production.
SHORT_INTERVALS: Mapping[str, str] = MappingProxyType(
    {
        "FAILSOFT_DISPATCH_BUDGET": "3s",
        "FAILSOFT_WORKER_BEAT": "500ms",
        "FAILSOFT_WORKER_TTL": "30s",
        "FAILSOFT_MAINTENANCE_EVERY": "300ms",
        # It would come at the hour, and delete what a test looks at; one test prunes by itself.
        "FAILSOFT_PRUNE": "off",
        "FAILSOFT_PROBE_EVERY": "1s",
        "FAILSOFT_HEALTHY_PROBES": "1",
        "FAILSOFT_MIN_OPEN": "200ms",
        "FAILSOFT_RAMP": "0s",
        "FAILSOFT_LOG_FORMAT": "json",
        "PYTHONPATH": str(ROOT),
        "dramatiq_restart_delay": "300",
    }
)


def job_modules() -> str:
    """Every module of `tests/features/jobs`, as the setting of the workers."""
    files = sorted((ROOT / "tests/features/jobs").rglob("[a-z]*.py"))
    return ",".join(".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)


@dataclass(frozen=True)
class SharedDeployment:
    """What is started once a session for a kind of ledger: our own parts, and who is needed."""

    app: App
    processes: Processes
    env: Mapping[str, str]
    workers: dict[str, Process] = field(default_factory=dict)

    def start_worker(self, engine: str) -> None:
        """Have a worker of an engine take jobs, from the first test that needs one."""
        if engine not in self.workers:
            words = ("-m", "failsoft.worker", engine, QUEUE.name)
            self.workers[engine] = self.processes.python(*words, env=self.env)
            wait_until(lambda: self.check() or self._live(engine), PATIENCE, "a live worker")

    def end_workers(self) -> None:
        """End all workers; those that a test needs start again."""
        self.processes.end()
        self.processes.started.clear()
        self.workers.clear()

    def _live(self, engine: str) -> bool:
        pid = self.workers[engine].pid
        return pid in {each.pid for each in self.app.ledger.live_workers()}

    def check(self) -> None:
        """Fail if a worker has ended."""
        gone = [each for each in self.processes.started if not each.is_running]
        assert not gone, f"expected workers that live, got one that ended:\n{gone[0].tail}"


@contextmanager
def built(folder: Path, settings: Mapping[str, str]) -> Iterator[SharedDeployment]:
    """Make the ledger; workers start when a test needs them."""
    env = {**SHORT_INTERVALS, "FAILSOFT_JOBS": job_modules(), **settings}
    database = Database(env["FAILSOFT_LEDGER_URL"])
    upgrade(database)
    database.close()
    with _environment(env):
        app = build(load_settings(), lambda _: None)
    pause_schedules(app.ledger)
    processes = Processes(folder)
    try:
        yield SharedDeployment(app, processes, env)
    finally:
        processes.end()
        app.dispatcher.close()
        app.ledger.database.close()


def pause_schedules(ledger: SqlLedger) -> None:
    """Pause what would tick every second, until its own test resumes it."""
    now, _ = ledger.schedules()
    for job in SECONDLY.values():
        assert job.schedule is not None
        first = ScheduleDeclaration(job.name, spec_of(job), job.schedule.after(now))
        ledger.declare_schedule(None, first)
        ledger.pause_schedule(job.name)


class EngineDeployment:
    """What a features test works with: one engine and one ledger of a shared deployment.

    Attributes:
        engine: The engine that the test's jobs run on, unless a test says otherwise.
        app: Our own parts, put together as in production; the workers have theirs.
    """

    def __init__(self, shared: SharedDeployment, engine: str) -> None:
        self.engine = engine
        self.app = shared.app
        self.processes = shared.processes
        self._shared = shared

    @property
    def ledger(self) -> SqlLedger:
        return self.app.ledger

    @property
    def dispatcher(self) -> Dispatcher:
        return self.app.dispatcher

    @property
    def database(self) -> Database:
        return self.app.ledger.database

    def start_worker(self, engine: str) -> None:
        """Have a worker of another engine, too, take jobs of this ledger."""
        self._shared.start_worker(engine)

    def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Dispatch a job that runs on this test's engine."""
        options.setdefault("engines", (self.engine,))
        return self.dispatcher.dispatch(job, payload, **options)

    def wait_for(
        self, handle: JobHandle[R], state: JobState = JobState.SUCCEEDED, deadline: float = PATIENCE
    ) -> JobRecord:
        """Wait until a job is in a state, and return it; fail at once if it ends in another."""

        def arrived() -> JobRecord | None:
            job = handle.job()
            ended = f"expected job {job.id} to be {state}, got {job.state}: {job.error}"
            assert job.state is state or not job.state.is_terminal, ended
            return job if job.state is state else None

        found = wait_until(arrived, deadline, f"job {handle.id} is {state}")
        assert found is not None
        return found

    def kinds(self, handle: JobHandle[R]) -> list[str]:
        """The transitions of a job, in order."""
        return [event.kind for event in self.ledger.events(handle.id)]

    def unique(self, word: str) -> str:
        """A name that no other test uses: the ledger is everybody's."""
        return f"{word}-{uuid.uuid4().hex[:12]}"


@contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("FAILSOFT_", "USE_RQ"))]:
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        yield
