"""The RQ lane: what worker processes run in a second, and how soon a job begins, beside raw RQ.

    PYTHONPATH=. python bench/lanes/rq_lane.py                          # on SQLite
    PYTHONPATH=. python bench/lanes/rq_lane.py --ledger postgresql --only drain --json

Drain: jobs that do nothing wait in the queue before a worker takes the first; ours, raw
`SimpleWorker` and raw `Worker` in turn, on the same server. Two: the same jobs, one process of ours
and two in turn. I/O: jobs that wait for 50 ms. Pickup: one job at a time to a worker that waits,
from before the dispatch, or the enqueue, to its first line; one of each in turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from pydantic import BaseModel
from redis import Redis
from rich.console import Console
from rich.table import Table
from rq import Queue
from sqlalchemy import func, select

from bench.dispatching.calls import made
from bench.lanes import raw_rq_worker
from bench.lanes.raw_rq_worker import STARTS
from bench.report.row import Row, at_least, at_most
from bench.servers import database_url
from failsoft.job_engine import JobContext, JobState, job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.ledger import Database
from failsoft.ledger.schema.tables import attempts
from failsoft.ledger.upgrade.run import upgrade
from failsoft.queue.embedded_valkey import EmbeddedValkey
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.servers.processes import Process, wait_until

ROOT = Path(__file__).parents[2]
KINDS = ("drain", "two", "io", "pickup")
RAW = ("SimpleWorker", "Worker")
PATIENCE = 120
#: What the lane is to reach.
TIMES_SIMPLE, TIMES_WORKER, TIMES_ONE, IO_RATE = 3.0, 20.0, 1.6, 500.0
PICKUP_WORKER, PICKUP_SIMPLE, PICKUP_P99 = 0.25, 1.0, 25.0
#: How long a job of the I/O lane waits, in seconds.
IO_SECONDS = 0.05


class Payload(BaseModel):
    """Something small, as most payloads are."""

    number: int


@job(queue="default")
def no_op(payload: Payload, ctx: JobContext) -> int:
    """Do nothing."""
    return payload.number


@job(queue="default")
def waits(payload: Payload, ctx: JobContext) -> int:
    """Wait as for an answer of some server."""
    time.sleep(IO_SECONDS)
    return payload.number


@job(queue="default")
def began(payload: Payload, ctx: JobContext) -> int:
    """Note when it began."""
    return raw_rq_worker.began(payload.number)


class Drained(NamedTuple):
    """How workers ran jobs that waited.

    Attributes:
        rate: Jobs a second, from the first claim to the last end.
        cpu: Seconds of CPU of the workers for each.
    """

    rate: float
    cpu: float


class RqLane:
    """A Redis, a ledger, and workers of ours and of RQ's on them.

    Args:
        app: Failsoft, with the engine `rq` alone.
        url: The server's.
        folder: For logs.
    """

    def __init__(self, app: App, url: str, folder: Path) -> None:
        self._app = app
        self._url = url
        self._folder = folder
        self._redis = Redis.from_url(url)

    def ours(
        self, jobs: int, definition: JobDefinition[Payload, int], processes: int = 1
    ) -> Drained:
        """Let worker processes of ours run jobs that wait."""
        with ExitStack() as stack:
            workers = [stack.enter_context(self._worker(each)) for each in range(processes)]
            wait_until(lambda: len(self._app.ledger.live_workers()) >= processes, PATIENCE, "live")
            # All of them wait before the first begins; the time of the dispatch does not count.
            self._app.ledger.database.write(lambda _: [each.freeze() for each in workers])
            payloads = [Payload(number=number) for number in range(jobs)]
            found = self._app.dispatcher.dispatch_many(definition, payloads)
            ids = {each.handle.id for each in found if each.handle is not None}
            if len(ids) < jobs:
                raise AssertionError("expected every job to be dispatched")
            before, cpu = self._succeeded(), _cpu(workers)
            for each in workers:
                each.thaw()
            wait_until(lambda: self._succeeded() >= before + jobs, 10 * PATIENCE, "all have ended")
            rate, cpu = self._rate(jobs), (_cpu(workers) - cpu) / jobs
            for each in workers:
                each.terminate(PATIENCE)
            return Drained(rate, cpu)

    def raw(self, kind: str, jobs: int) -> Drained:
        """Let a worker of RQ's run jobs that wait."""
        queue = Queue(f"raw-{kind.lower()}", connection=self._redis)
        queue.enqueue_many(
            [
                Queue.prepare_data("bench.lanes.raw_rq_worker.no_op", (number,))
                for number in range(jobs)
            ]
        )
        words = (
            sys.executable,
            "-m",
            "bench.lanes.raw_rq_worker",
            self._url,
            queue.name,
            kind,
            "burst",
        )
        done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - our own module
        seconds, cpu = map(float, done.stdout.split())
        return Drained(jobs / seconds, cpu / jobs)

    def pickups(self, count: int) -> Mapping[str, Sequence[float]]:
        """Return how many milliseconds jobs waited, by the worker that waited for them."""
        starts = Path(os.environ[STARTS])
        starts.touch()
        queues = {kind: Queue(f"pickup-{kind.lower()}", connection=self._redis) for kind in RAW}
        begin: dict[str, Callable[[int], object]] = {
            "failsoft": lambda number: self._app.dispatcher.dispatch(began, Payload(number=number))
        }
        for kind, queue in queues.items():
            begin[kind] = lambda number, queue=queue: queue.enqueue(
                "bench.lanes.raw_rq_worker.began", number
            )
        times: dict[str, list[float]] = {name: [] for name in begin}
        with ExitStack() as stack:
            stack.enter_context(self._worker(0))
            for kind, queue in queues.items():
                words = ("-m", "bench.lanes.raw_rq_worker", self._url, queue.name, kind)
                log = self._folder / f"{kind}.log"
                stack.enter_context(Process(sys.executable, *words, log=log, cwd=ROOT))
            wait_until(self._app.ledger.live_workers, PATIENCE, "a live worker")
            for number in range(-3, count):
                for name, call in begin.items():
                    waited = self._pickup(call, number, starts)
                    if number >= 0:
                        times[name].append(waited)
        return times

    def _pickup(self, call: Callable[[int], object], number: int, starts: Path) -> float:
        # Long enough for each to wait as a worker waits that has had nothing to do for a while.
        time.sleep(0.1)
        size, before = starts.stat().st_size, time.monotonic()
        call(number)
        wait_until(lambda: starts.stat().st_size > size, PATIENCE, "it began")
        return (float(starts.read_text().splitlines()[-1]) - before) * 1000

    def _worker(self, number: int) -> Process:
        words = ("-m", "failsoft.worker", "rq", "default")
        log = self._folder / f"failsoft-{number}.log"
        return Process(sys.executable, *words, log=log, cwd=ROOT)

    def _succeeded(self) -> int:
        time.sleep(0.2)  # it counts them
        return self._app.ledger.counts().get(JobState.SUCCEEDED, 0)

    def _rate(self, jobs: int) -> float:
        newest = (
            select(attempts.c.started_at, attempts.c.ended_at)
            .order_by(attempts.c.started_at.desc())
            .limit(jobs)
            .subquery()
        )
        query = select(func.min(newest.c.started_at), func.max(newest.c.ended_at))
        first, last = self._app.ledger.database.read(
            lambda connection: connection.execute(query).one()
        )
        return jobs / _seconds(first, last)


def _seconds(first: Any, last: Any) -> float:
    span = last - first
    return span / 1_000_000 if isinstance(span, int) else span.total_seconds()


def _cpu(workers: Sequence[Process]) -> float:
    times = [psutil.Process(each.pid).cpu_times() for each in workers]
    return sum(each.user + each.system for each in times)


def rows(lane: RqLane, arguments: argparse.Namespace) -> Iterator[Row]:
    """Measure; yield the rows of what was chosen."""
    chosen = arguments.only or KINDS
    if "drain" in chosen:
        yield from drained(lane, arguments.jobs, arguments.rounds, arguments.ledger)
    if "two" in chosen:
        yield two_processes(lane, arguments.jobs, arguments.rounds, arguments.ledger)
    if "io" in chosen:
        yield io_jobs(lane, arguments.jobs, arguments.rounds, arguments.ledger)
    if "pickup" in chosen:
        yield from picked_up(lane, arguments.count, arguments.ledger)


def drained(lane: RqLane, jobs: int, rounds: int, ledger: str) -> Iterator[Row]:
    """Let ours, `SimpleWorker` and `Worker` run jobs that wait, in turn."""
    found: dict[str, list[Drained]] = {"failsoft": [], **{kind: [] for kind in RAW}}
    for _ in range(rounds):
        found["failsoft"].append(lane.ours(jobs, no_op))
        found["SimpleWorker"].append(lane.raw("SimpleWorker", jobs // 2))
        found["Worker"].append(lane.raw("Worker", jobs // 20))
    ours, details = found["failsoft"], _medians(found)
    for kind, limit in zip(RAW, (TIMES_SIMPLE, TIMES_WORKER), strict=True):
        ratios = [each.rate / raw.rate for each, raw in zip(ours, found[kind], strict=True)]
        name = f"RQ lane, no-op jobs/s of a process, beside {kind}"
        yield at_least(name, limit, ratios, ledger=ledger, details=details)


def two_processes(lane: RqLane, jobs: int, rounds: int, ledger: str) -> Row:
    """Let one process and two run jobs that wait, in turn."""
    found: dict[str, list[Drained]] = {"one": [], "two": []}
    for _ in range(rounds):
        for number, each in enumerate(found.values(), 1):
            each.append(lane.ours(jobs, no_op, number))
    ratios = [two.rate / one.rate for one, two in zip(*found.values(), strict=True)]
    name = "RQ lane, no-op jobs/s of two processes, beside one"
    return at_least(name, TIMES_ONE, ratios, ledger=ledger, details=_medians(found))


def io_jobs(lane: RqLane, jobs: int, rounds: int, ledger: str) -> Row:
    """Let one process run jobs that wait for 50 ms."""
    found = [lane.ours(jobs, waits) for _ in range(rounds)]
    name, details = "RQ lane, jobs/s of a process, 50 ms of I/O each", _medians({"failsoft": found})
    rates = [each.rate for each in found]
    return at_least(name, IO_RATE, rates, "jobs/s", ledger=ledger, details=details)


def _medians(found: Mapping[str, Sequence[Drained]]) -> Mapping[str, float]:
    rates = {name: [each.rate for each in rounds] for name, rounds in found.items()}
    cpu = {f"{name} CPU µs/job": [each.cpu * 1e6 for each in of] for name, of in found.items()}
    return {name: round(statistics.median(each)) for name, each in (rates | cpu).items()}


def picked_up(lane: RqLane, count: int, ledger: str) -> Iterator[Row]:
    """Dispatch to workers that wait, ours and RQ's in turn."""
    times = lane.pickups(count)
    details = {
        f"{name} {which} ms": round(value, 2)
        for name, each in times.items()
        for which, value in (("p50", statistics.median(each)), ("p99", _p99(each)))
    }
    for kind, limit in zip(RAW, (PICKUP_SIMPLE, PICKUP_WORKER), strict=True):
        ratio = statistics.median(times["failsoft"]) / statistics.median(times[kind])
        name = f"RQ lane, idle pickup p50, beside {kind}"
        yield at_most(name, limit, [ratio], ledger=ledger, details=details)
    yield at_most(
        "RQ lane, idle pickup p99", PICKUP_P99, [_p99(times["failsoft"])], "ms", ledger=ledger
    )


def _p99(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def main() -> None:
    """Measure, and print a table or figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--only", choices=KINDS, action="append", help="may be given again")
    parser.add_argument("--jobs", type=int, default=2000, help="of a drain, in each round")
    parser.add_argument("--count", type=int, default=100, help="pickups")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    with ExitStack() as stack:
        found = list(rows(lane(arguments.ledger, stack), arguments))
    table = Table("", "target", "figure", "spread", "met", "details")
    for each in found:
        cells = each.name, each.target, each.figure, each.spread, each.met, dict(each.details)
        table.add_row(*map(str, cells))
    console.print(table)
    if arguments.json:
        print(json.dumps([each.as_dict() for each in found], indent=2))


def lane(ledger: str, stack: ExitStack) -> RqLane:
    """Start the servers; return the lane on them, which ends with the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    valkey = stack.enter_context(EmbeddedValkey(made(folder / "valkey")))
    url = database_url(ledger, folder, stack)
    with closing(Database(url)) as database:
        upgrade(database)
    os.environ.update(
        {
            "FAILSOFT_LEDGER_URL": url,
            "FAILSOFT_ENGINES": "rq",
            "FAILSOFT_REDIS_URL": valkey.url,
            "FAILSOFT_JOBS": "bench.lanes.rq_lane",
            "FAILSOFT_PRUNE": "off",
            "PYTHONPATH": str(ROOT),
            STARTS: str(folder / "starts"),
        }
    )
    app = build(load_settings(_env_file=None), lambda _: None)
    stack.callback(app.close)
    return RqLane(app, valkey.url, folder)


if __name__ == "__main__":
    main()
