"""The state of the demo's parts at one moment."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failsoft.job_engine.records.states import JobState
from failsoft.worker.demo.environment.airports import imported_keys
from failsoft.worker.demo.environment.environment import Environment


@dataclass(frozen=True, slots=True)
class EngineView:
    """One engine at one moment.

    Attributes:
        name: The engine.
        server_runs: Whether its server's process runs; None if it has none.
        breaker: The state of the dispatcher's breaker.
        workers: How many worker processes have a fresh heartbeat.
        running: How many attempts run on it.
        done: How many jobs it finished.
    """

    name: str
    server_runs: bool | None
    breaker: str
    workers: int
    running: int
    done: int


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that the live table shows.

    Attributes:
        engines: The engines.
        states: How many jobs are in which state.
        webhooks: How many different webhooks the receiver took.
        rows: How many rows are in the target table.
    """

    engines: Sequence[EngineView]
    states: Mapping[JobState, int]
    webhooks: int
    rows: int


def read_status(environment: Environment, jobs: int) -> Status:
    """Read the state of every part once.

    Raises:
        LedgerError: If the ledger could not be read.
    """
    found = environment.ledger.list_jobs(limit=jobs)
    workers = Counter(worker.engine for worker in environment.ledger.live_workers())
    servers = {
        environment.primary: environment.servers.primary,
        environment.fallback: environment.servers.fallback,
    }

    def view(engine: str) -> EngineView:
        breakers = [app.engines.breaker(engine) for app in environment.apps.values()]
        breaker = next((each for each in breakers if each.is_open), breakers[0]).state
        states = Counter(job.state for job in found if job.engine == engine)
        server = servers[engine]
        running, done = states[JobState.RUNNING], states[JobState.SUCCEEDED]
        runs = None if server is None else server.is_running
        return EngineView(engine, runs, breaker, workers[engine], running, done)

    return Status(
        engines=[view(engine) for engine in servers],
        states=Counter(job.state for job in found),
        webhooks=environment.receiver.unique,
        rows=len(imported_keys(environment.imported)),
    )
