"""One arrangement of a ledger, engines, a dispatcher and workers for a test to break."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack

from failsoft.dispatcher import DispatchOptions, JobHandle
from failsoft.job_engine import JobDefinition, JobState
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.telemetry import Event
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.deployments.effect_log import ENGINE, FILE, EffectLog
from tests.jobs.scripted import Script
from tests.servers.processes import PATIENCE, Process, Processes, wait_until

TRIES_THREAD = "failsoft-tries"
MODULE = "failsoft.worker.process"
JOBS = "tests.jobs.scripted"
ROOT = Path(__file__).parents[2]

#: For a worker whose lease or heartbeat a test waits to run out.
SHORT_LEASE = MappingProxyType({"FAILSOFT_LEASE": "2s"})
SHORT_LIFE = MappingProxyType({"FAILSOFT_WORKER_TTL": "1s"})

#: Everything that is waited for comes sooner than in production.
SHORT_INTERVALS: Mapping[str, str] = MappingProxyType(
    {
        # Dispatching is not on trial, unless a test says so; it is over before a pickup is missed.
        "FAILSOFT_DISPATCH_BUDGET": "3s",
        "FAILSOFT_WORKER_BEAT": "300ms",
        "FAILSOFT_WORKER_TTL": "15s",
        "FAILSOFT_MAINTENANCE_EVERY": "200ms",
        # It would come at the hour, among the jobs of a test.
        "FAILSOFT_PRUNE": "off",
        "FAILSOFT_PROBE_EVERY": "200ms",
        "FAILSOFT_HEALTHY_PROBES": "2",
        "FAILSOFT_MIN_OPEN": "300ms",
        "FAILSOFT_RAMP": "0s",
        "FAILSOFT_LOG_FORMAT": "json",
        "FAILSOFT_JOBS": JOBS,
        "PYTHONPATH": str(ROOT),
        "dramatiq_restart_delay": "300",
    }
)
ENDS = frozenset({"succeed", "fail", "crash_out", "exhaust", "stop", "cancel"})

ScriptedJob = JobDefinition[Script, int]
LogLine = Mapping[str, Any]


@dataclass(frozen=True)
class Worker:
    """A worker process and its log."""

    process: Process

    def logged(self, kind: str) -> list[LogLine]:
        """The log lines of one kind of event."""
        lines = [json.loads(text) for text in self.process.output.splitlines() if text[:1] == "{"]
        return [line for line in lines if line.get("event") == kind]

    def count(self, kind: str) -> int:
        """How often it happened: a line may stand for several that were not logged."""
        return sum(line.get("suppressed", 1) for line in self.logged(kind))


class Deployment:
    """What a test works with; the environment it is made in decides everything."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.effect_log = EffectLog(Path(os.environ[FILE]))
        self.events: list[Event] = []
        self.app: App = build(load_settings(), self.events.append)
        self.handles: list[JobHandle[int]] = []

    def close(self) -> None:
        self.app.dispatcher.close()
        self.app.ledger.database.close()

    def worker(self, engine: str, queue: str, **settings: str) -> Worker:
        """Start a worker process, and do not wait for it."""
        env = {ENGINE: engine, **settings}
        if "PYTHONPATH" in settings:
            # What it finds there must be loaded first.
            return Worker(self.processes.python("-m", "failsoft.worker", engine, queue, env=env))
        return Worker(self.processes.fork(MODULE, engine, queue, env=env))

    def command(self, engine: str, queue: str) -> Worker:
        """Start a supervised worker as a user does, and do not wait for it."""
        words = (installed_command("failsoft"), "worker", engine, "--queue", queue)
        return Worker(self.processes.start(*words, env={ENGINE: engine}))

    def workers(self, queue: str, **of_rq: str) -> tuple[Worker, Worker]:
        """Start a worker of each engine, and wait until both take jobs.

        Args:
            queue: The queue that both serve.
            of_rq: Settings of the RQ worker, which is the one that gets into trouble. The other
                keeps its long lease and heartbeat, so that a slow machine does not look like one.
        """
        both = self.worker("rq", queue, **of_rq), self.worker("dramatiq", queue)
        self.wait_for(*both)
        return both

    def wait_for(self, *workers: Worker) -> None:
        """Wait until workers have recorded that they take jobs."""
        pids = {worker.process.pid for worker in workers}
        wait_until(
            lambda: pids <= self.live_pids() or self._gone(workers), PATIENCE, "live workers"
        )
        assert not self._gone(workers), "expected workers that live, got some that ended"

    def freeze(self, worker: Worker) -> None:
        """Halt a worker between two of its writes: halted within one it would halt SQLite."""
        self.app.ledger.database.write(lambda _: worker.process.freeze())

    def pretend(self, engine: str, queue: str) -> WorkerRecord:
        """Have the ledger believe that a worker lives; it does until the record is retired."""
        ghost = WorkerRecord(f"pretended-{engine}", engine, queue, "here", 1, 8)
        self.app.ledger.beat(ghost, timedelta(hours=1))
        return ghost

    def live_pids(self) -> set[int]:
        return {each.pid for each in self.app.ledger.live_workers()}

    def dispatch(
        self, job: ScriptedJob, script: Script | None = None, **options: Unpack[DispatchOptions]
    ) -> JobHandle[int]:
        handle = self.app.dispatcher.dispatch(job, script or Script(), **options)
        self.handles.append(handle)
        return handle

    def dispatch_many(
        self, count: int, job: ScriptedJob, **options: Unpack[DispatchOptions]
    ) -> list[JobHandle[int]]:
        return [self.dispatch(job, **options) for _ in range(count)]

    def wait_for_ends(self, *handles: JobHandle[int], deadline: float = PATIENCE) -> None:
        """Wait until jobs have ended; all of them where none is named."""
        waiting = [each.id for each in handles or self.handles]

        def all_ended() -> bool:
            # One query a look while the first of them runs, however many there are.
            while waiting and self.state(waiting[0]).is_terminal:
                del waiting[0]
            return not waiting

        wait_until(all_ended, deadline, f"the end of jobs {waiting}")

    def wait_for_step(self, handle: JobHandle[int], step: str, attempt: int = 1) -> None:
        """Wait until a step of a job has begun."""
        begun = f"{step} of job {handle.id} in attempt {attempt}"
        wait_until(lambda: self.effect_log.has_begun(handle.id, step, attempt), PATIENCE, begun)

    def state(self, job_id: str) -> JobState:
        return self.app.ledger.get(job_id).state

    def kinds(self, handle: JobHandle[int]) -> list[str]:
        """The transitions of a job, in order."""
        return [event.kind for event in self.app.ledger.events(handle.id)]

    def tries(self, handle: JobHandle[int]) -> list[tuple[str, str, str]]:
        """Every try of the dispatcher here to hand a job over: engine, stage, outcome."""
        self._write_tries()
        return [(each.engine, each.stage, str(each.outcome)) for each in handle.tries()]

    def engines_of(self, kind: str) -> list[str | None]:
        """The engines of such events that the dispatcher here emitted."""
        return [event.engine for event in self.events if event.kind == kind]

    def _write_tries(self) -> None:
        self.app.dispatcher.flush()
        wait_until(lambda: not _runs_thread(TRIES_THREAD), PATIENCE, "all tries are written")

    def _gone(self, workers: Sequence[Worker]) -> bool:
        return any(not each.process.is_running for each in workers)


@contextmanager
def opened(processes: Processes) -> Iterator[Deployment]:
    deployment = Deployment(processes)
    try:
        yield deployment
    finally:
        deployment.close()


def _runs_thread(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def installed_command(name: str) -> str:
    """Find a command that is installed beside this Python."""
    return str(Path(sys.executable).parent / name)
