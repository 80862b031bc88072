"""The ledger as an engine: how soon a job begins, what an idle worker costs, how many it runs.

    make bench-ledger-engine                                     # on SQLite
    make bench-ledger-engine ARGS="--ledger postgresql --json"

Pickup: a job at a time is dispatched to a worker process that waits; the time from before the
dispatch to the first line of the job. Idle: the CPU that `--workers` waiting workers and their
database use, in percent of one core. Lane: jobs without steps that a worker process of one engine
runs in a second, from the first to the last end; `ledger` and Dramatiq on RabbitMQ in turn, on the
same ledger.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.lanes.lane import PATIENCE, QUEUE, ROOT, Payload, lanes, worker
from bench.report.bars import at_least, at_most
from bench.servers import started_postgresql
from failsoft.dispatcher.plugins.plugin import EngineSite, WorkerPost
from failsoft.engines.ledger.adapter import LedgerSettings
from failsoft.engines.ledger.worker import LedgerWorker
from failsoft.job_engine import JobContext, QueueProfile, job
from failsoft.job_engine.clock import SystemClock
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import wait_until
from tests.servers.rabbitmq import RabbitMQ

LEDGER, DRAMATIQ = "ledger", "dramatiq"
#: Where the pickup's worker writes when a job began.
STARTS = "BENCH_STARTS"
#: What the ledger is to reach as an engine: milliseconds, percent of a core, times Dramatiq's rate.
PICKUP_P50, IDLE_PERCENT, LANE_RATIO = 20.0, 1.0, 1.0


@job(queue=QUEUE.name)
def began(payload: Payload, ctx: JobContext) -> int:
    """Note when it began, by the clock that all processes of a host share."""
    now = time.monotonic()
    with Path(os.environ[STARTS]).open("a") as starts:
        starts.write(f"{now}\n")
    return payload.number


def main() -> None:
    """Measure, and print tables or figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--count", type=int, default=100, help="pickups")
    parser.add_argument("--workers", type=int, default=20, help="that wait")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which they wait")
    parser.add_argument("--jobs", type=int, default=2000, help="of a lane, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("pickup", "idle", "lanes"), default="")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    with ExitStack() as stack:
        found = list(run(arguments, console, stack))
    table = Table("", "figures", title=f"the ledger as an engine, {arguments.ledger}")
    for each in found:
        shown = ", ".join(f"{name} {value}" for name, value in each.items() if name != "what")
        table.add_row(each["what"], shown)
    console.print(table)
    if arguments.json:
        print(json.dumps({"ledger": arguments.ledger, "found": found}, indent=2))


def run(
    arguments: argparse.Namespace, console: Console, stack: ExitStack
) -> Iterator[dict[str, Any]]:
    """Start the servers and measure."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    url, postgres = ledger_url(arguments.ledger, folder, stack)
    with closing(Database(url)) as database:
        upgrade(database)
    environment = {
        "FAILSOFT_LEDGER_URL": url,
        "FAILSOFT_ENGINES": f"{LEDGER},{DRAMATIQ}",
        "FAILSOFT_JOBS": "bench.lanes.ledger_engine",
        "FAILSOFT_PRUNE": "off",
        "PYTHONPATH": str(ROOT),
        STARTS: str(folder / "starts"),
    }
    if arguments.only in ("", "lanes"):
        rabbitmq = RabbitMQ(made(folder / "rabbitmq"))
        rabbitmq.start()
        stack.callback(rabbitmq.stop)
        environment["AMQP_URL"] = rabbitmq.url
    os.environ.update(environment)
    app = build(load_settings(_env_file=None), lambda _: None)
    stack.callback(app.close)
    if arguments.only in ("", "pickup"):
        yield pickup(app, arguments.count, folder, console)
    if arguments.only in ("", "idle"):
        yield idle(app, arguments.workers, arguments.seconds, postgres)
    if arguments.only in ("", "lanes"):
        yield beside_dramatiq(app, arguments, folder, console)


def pickup(app: App, count: int, folder: Path, console: Console) -> dict[str, Any]:
    """Dispatch one job at a time to a worker that waits."""
    starts, times = folder / "starts", list[float]()
    starts.touch()
    with worker(app, LEDGER, folder):
        for number in track(range(count), description="pickup", console=console):
            # Long enough to wait as a worker waits that has had nothing to do for a while.
            time.sleep(0.3)
            before, size = time.monotonic(), starts.stat().st_size
            app.dispatcher.dispatch(began, Payload(number=number), engines=(LEDGER,))
            wait_until(lambda size=size: starts.stat().st_size > size, PATIENCE, "it began")
            times.append((float(starts.read_text().splitlines()[-1]) - before) * 1000)
    found = milliseconds(times)
    return {"what": "idle pickup", **found, **at_most("p50_ms", PICKUP_P50, found["p50_ms"])}


def idle(app: App, workers: int, seconds: float, postgres: Postgres | None) -> dict[str, Any]:
    """Let workers wait for offers, and measure what they and the database use of a core."""
    stopping = threading.Event()
    threads = [
        threading.Thread(target=waiting_worker(app, number).run, args=(stopping,))
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    time.sleep(10)  # until each looks as seldom as it does
    here, there = psutil.Process(), server_processes(postgres)
    before, began_at = cpu([here]), time.monotonic()
    before_there = cpu(there)
    time.sleep(seconds)
    lasted = time.monotonic() - began_at
    found = {
        "workers_percent": round((cpu([here]) - before) / lasted * 100, 2),
        "server_percent": round((cpu(there) - before_there) / lasted * 100, 2),
    }
    stopping.set()
    for thread in threads:
        thread.join()
    both = round(sum(found.values()), 2)
    bar = at_most("workers and server, percent", IDLE_PERCENT, both)
    return {"what": f"{workers} idle workers, of one core", **found, **bar}


def waiting_worker(app: App, number: int) -> LedgerWorker:
    """Return a worker of a queue that no job comes to."""
    site = EngineSite(LEDGER, LedgerSettings(), "", app.offers, {})
    post = WorkerPost(
        queue=QueueProfile(f"idle-{number}"),
        slots=8,
        boot_id=f"idle-{number}",
        grace=timedelta(seconds=5),
        clock=SystemClock(),
        process=lambda wire, claimed=lambda: None: None,
        reject=lambda error: None,
        stop_job=lambda job_id: None,
    )
    return LedgerWorker(site, post)


def beside_dramatiq(
    app: App, arguments: argparse.Namespace, folder: Path, console: Console
) -> dict[str, Any]:
    """Let a worker of each engine in turn run jobs that wait."""
    jobs, rounds = arguments.jobs, arguments.rounds
    engines = (LEDGER, DRAMATIQ)
    medians = lanes(app, engines, jobs=jobs, rounds=rounds, folder=folder, console=console)
    ratio = round(medians[LEDGER] / medians[DRAMATIQ], 2)
    row = {"what": f"{jobs} jobs, jobs/s, median of {rounds}", **medians, "ratio": ratio}
    return row | at_least("ratio", LANE_RATIO, ratio)


def milliseconds(times: Sequence[float]) -> dict[str, float]:
    """Return p50 and p99."""
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return {"p50_ms": round(statistics.median(times), 1), "p99_ms": round(p99, 1)}


def cpu(processes: Sequence[psutil.Process]) -> float:
    """Return the seconds of CPU that processes have used."""
    times = [each.cpu_times() for each in processes]
    return sum(each.user + each.system for each in times)


def server_processes(postgres: Postgres | None) -> list[psutil.Process]:
    """Return the processes of the database's server, if it has one."""
    if postgres is None:
        return []
    first = psutil.Process(postgres.running.pid)
    return [first, *first.children(recursive=True)]


def made(folder: Path) -> Path:
    """Return a folder, made."""
    folder.mkdir()
    return folder


def ledger_url(kind: str, folder: Path, stack: ExitStack) -> tuple[str, Postgres | None]:
    """Return the URL of a fresh ledger's database, and its server."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/ledger.db", None
    postgres = started_postgresql(stack)
    return postgres.create_database("bench"), postgres


if __name__ == "__main__":
    main()
