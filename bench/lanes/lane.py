"""How many jobs a second one worker process of an engine runs, and how long those wait."""

import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import track
from sqlalchemy import select

from failsoft.job_engine import JobContext, JobState, QueueProfile, declare_queue, job
from failsoft.ledger.schema.jobs import jobs as job_rows
from failsoft.ledger.schema.tables import attempts
from failsoft.worker.wiring import App
from tests.servers.processes import Process, wait_until

ROOT = Path(__file__).parents[2]
QUEUE = declare_queue(QueueProfile("bench", slots=8))
PATIENCE = 120
#: The variable with the file that a long job waits for the end of.
STAYS = "BENCH_STAYS"
DRAMATIQ = "dramatiq"
#: The least that a worker process may run, in times that of Dramatiq.
TIMES_DRAMATIQ: Mapping[str, float] = MappingProxyType({"kafka": 2.0, "ledger": 1.0})
#: The pause between two dispatches beside a long job, in seconds: fewer than any engine here runs.
PACE = 0.03


class Payload(BaseModel):
    """Something small, as most payloads are."""

    number: int


@job(queue=QUEUE.name)
def no_op(payload: Payload, ctx: JobContext) -> int:
    """Do nothing."""
    return payload.number


@job(queue=QUEUE.name)
def until_gone(payload: Payload, ctx: JobContext) -> int:
    """Run as long as the file is there that the variable names."""
    while Path(os.environ[STAYS]).exists():
        time.sleep(0.2)
    return payload.number


def lanes(
    app: App, engines: Sequence[str], *, jobs: int, rounds: int, folder: Path, console: Console
) -> Mapping[str, float]:
    """Let a worker of each engine in turn run jobs that wait; return the median jobs a second."""
    found = rates(app, engines, jobs=jobs, rounds=rounds, folder=folder, console=console)
    return {engine: round(statistics.median(each), 1) for engine, each in found.items()}


def rates(
    app: App, engines: Sequence[str], *, jobs: int, rounds: int, folder: Path, console: Console
) -> Mapping[str, Sequence[float]]:
    """Let a worker of each engine in turn run jobs that wait; return the jobs a second."""
    found: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in track(range(rounds), description="lanes", console=console):
        for engine, of_engine in found.items():
            of_engine.append(lane(app, engine, jobs, folder))
    return found


def rows(found: Mapping[str, Sequence[float]], *, ledger: str) -> Iterator[dict[str, Any]]:
    """Return a row for each engine beside Dramatiq, as the ratios of the rounds.

    Args:
        found: The jobs a second of each round, by engine; Dramatiq's among them.
        ledger: Of which ledger.
    """
    for engine, each in found.items():
        if engine == DRAMATIQ:
            continue
        ratios = [one / other for one, other in zip(each, found[DRAMATIQ], strict=True)]
        least = TIMES_DRAMATIQ.get(engine)
        figure = statistics.median(ratios)
        yield {
            "name": f"{engine} lane, no-op jobs/s of a process, beside Dramatiq's",
            "target": "" if least is None else f"≥ {least:g}x",
            "figure": round(figure, 2),
            "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            "met": None if least is None else figure >= least,
            "ledger": ledger,
            "jobs/s": round(statistics.median(each)),
        }


def lane(app: App, engine: str, jobs: int, folder: Path) -> float:
    """Return how many jobs a second one worker process of an engine runs."""
    with worker(app, engine, folder) as process:
        # All of them wait before the first begins; the time of the dispatch does not count.
        app.ledger.database.write(lambda _: process.freeze())
        payloads = [Payload(number=number) for number in range(jobs)]
        found = app.dispatcher.dispatch_many(no_op, payloads, engines=(engine,))
        ended = app.ledger.counts().get(JobState.SUCCEEDED, 0)
        if any(each.handle is None for each in found):
            raise AssertionError("expected every job to be dispatched")
        process.thaw()
        began_at = time.monotonic()
        wait_until(lambda: succeeded(app) >= ended + jobs, 10 * PATIENCE, "all have ended")
        return jobs / (time.monotonic() - began_at)


def waits_beside_a_long_job(
    app: App, engine: str, jobs: int, folder: Path, *, console: Console
) -> Sequence[float]:
    """Dispatch jobs one by one while one that takes long runs in the same worker process.

    Returns:
        How many milliseconds each waited, from its dispatch to the claim.
    """
    stays = Path(os.environ[STAYS])
    stays.touch()
    with worker(app, engine, folder):
        long = app.dispatcher.dispatch(until_gone, Payload(number=0), engines=(engine,))
        wait_until(lambda: long.job().state is JobState.RUNNING, PATIENCE, "the long job runs")
        before = set(_waits(app))
        for number in track(range(jobs), description="beside a long job", console=console):
            app.dispatcher.dispatch(no_op, Payload(number=number), engines=(engine,))
            time.sleep(PACE)
        wait_until(lambda: len(_waits(app)) >= len(before) + jobs, PATIENCE, "all have begun")
        assert long.job().state is JobState.RUNNING  # noqa: S101 - or nothing was measured
        stays.unlink()
        wait_until(lambda: long.job().state is JobState.SUCCEEDED, PATIENCE, "the long job ends")
    return [waited for job_id, waited in _waits(app).items() if job_id not in before]


def _waits(app: App) -> Mapping[str, float]:
    """Return how long each job without steps waited for its claim, in milliseconds, by its id."""
    columns = select(job_rows.c.id, job_rows.c.created_at, attempts.c.started_at)
    query = columns.join(attempts, attempts.c.job_id == job_rows.c.id)
    rows = app.ledger.database.read(
        lambda connection: connection.execute(query.where(job_rows.c.name == no_op.name)).all()
    )
    return {job_id: (began - created).total_seconds() * 1000 for job_id, created, began in rows}


def succeeded(app: App) -> int:
    """Return how many jobs have succeeded; looked at seldom, for it counts them."""
    time.sleep(0.1)
    return app.ledger.counts().get(JobState.SUCCEEDED, 0)


def worker(app: App, engine: str, folder: Path) -> Process:
    """Start a worker process of an engine, and wait until it takes jobs."""
    words = ("-m", "failsoft.worker", engine, QUEUE.name)
    process = Process(sys.executable, *words, log=folder / f"{engine}.log", cwd=ROOT)
    wait_until(
        lambda: process.pid in {each.pid for each in app.ledger.live_workers()},
        PATIENCE,
        "a live worker",
    )
    return process
