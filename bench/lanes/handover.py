"""What becomes of the jobs that wait at a Redis that is killed, and what that costs the ledger.

    make bench-handover                                       # 1,000 jobs, SQLite
    make bench-handover ARGS="--jobs 100000 --ledger postgresql --rounds 1"

With 1,000 jobs, which were dispatched to RQ and wait there: how long after the kill the next
dispatch takes, and how long after the breaker of the dispatcher has opened by it all of them have
run on Dramatiq, with one worker process and no other rescuer.

With more than 10,000, none is run: a maintenance process hands them over to a queue without a
worker, and the row is how long that takes. Beside it stand the processor time of the database (on
SQLite it is that of the process that hands over), its transactions, and what other dispatches took
meanwhile and before.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, TextClause, func, select, text

from bench.lanes.lane import PATIENCE, QUEUE, ROOT, Payload, no_op, succeeded, worker
from bench.servers import started_postgresql
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger import Database
from failsoft.ledger.schema.jobs import jobs as job_rows
from failsoft.ledger.schema.tables import events
from failsoft.ledger.upgrade.run import upgrade
from failsoft.queue.embedded_valkey import EmbeddedValkey
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import Process, wait_until
from tests.servers.rabbitmq import RabbitMQ

#: From here on they are handed over, and not run.
LARGE = 10_000
HOUR = timedelta(hours=1)
COPIES = """
    WITH RECURSIVE numbers(number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < CAST(:last AS INTEGER)
    )
    INSERT INTO {table} ({key}, {columns})
    SELECT {key} || '-' || number, {columns} FROM {table}, numbers WHERE {key} = :first
"""
#: The pause between two of the other dispatches, in seconds.
PACE = 0.02
#: How long they are measured before the kill, in seconds.
BEFORE = 3.0

Row = Mapping[str, Any]


def main() -> None:
    """Measure, and print a table or the rows as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    rows = measured(arguments.ledger, arguments.jobs, arguments.rounds)
    table = Table("", "target", "figure", "spread", "met", title=f"{arguments.ledger} ledger")
    for row in rows:
        shown = (row[name] for name in ("name", "target", "figure", "spread", "met"))
        table.add_row(*(str(each) for each in shown))
    console.print(table)
    if arguments.json:
        print(json.dumps({"ledger": arguments.ledger, "found": rows}, indent=2))


def measured(ledger: str, jobs: int, rounds: int) -> list[Row]:
    """Return the rows of a ledger, measured on servers of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = Servers(ledger, folder, stack)
        if jobs > LARGE:
            return [handed_over(servers, jobs)]
        return list(stranded(servers, jobs, rounds))


class Servers:
    """The ledger and both brokers; the processes that are started find them in the environment."""

    def __init__(self, ledger: str, folder: Path, stack: ExitStack) -> None:
        self.ledger = ledger
        self.folder = folder
        self.postgres: Postgres | None = None
        self.valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        rabbitmq = RabbitMQ(folder)
        rabbitmq.start()
        stack.callback(rabbitmq.stop)
        url = f"sqlite:///{folder}/ledger.db"
        if ledger == "postgresql":
            self.postgres = started_postgresql(stack)
            url = self.postgres.create_database("bench")
        upgrade(Database(url))
        os.environ |= {
            "FAILSOFT_LEDGER_URL": url,
            "FAILSOFT_REDIS_URL": self.valkey.url,
            "FAILSOFT_AMQP_URL": rabbitmq.url,
            "FAILSOFT_JOBS": "bench.lanes.lane",
            "PYTHONPATH": str(ROOT),
        }

    @contextmanager
    def application(self) -> Iterator[App]:
        """Return what an application has, with breakers that are closed."""
        app = build(load_settings())
        with closing(app.dispatcher):
            yield app


def stranded(servers: Servers, jobs: int, rounds: int) -> Iterator[Row]:
    """Let jobs wait at RQ, kill Redis, and wait until they have run on Dramatiq."""
    dispatches, moves, ends = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        servers.valkey.start()
        with servers.application() as app, worker(app, "dramatiq", servers.folder):
            pretend(app, "rq")
            strand(app, jobs)
            ended = succeeded(app)
            servers.valkey.kill()
            dispatches.append(lasting(lambda: app.dispatcher.dispatch(no_op, Payload(number=0))))
            began = time.monotonic()
            wait_until(lambda: waiting_at(app, "rq") == 0, PATIENCE, "all are handed over")
            moves.append(time.monotonic() - began)
            done = ended + jobs + 1
            wait_until(lambda: succeeded(app) >= done, PATIENCE, "all have run")  # noqa: B023
            ends.append(time.monotonic() - began)
    name = f"{jobs:,} jobs that wait at a killed Redis have all run on Dramatiq"
    found = {"ledger": servers.ledger}
    yield row("Redis SIGKILL to the next accepted dispatch", "ms", dispatches, limit=100) | found
    found |= {"handed_over_s": round(statistics.median(moves), 2)}
    yield row(f"{name}, after the breaker opened", "s", ends, limit=5) | found


def handed_over(servers: Servers, jobs: int) -> Row:
    """Let one process hand jobs over, and say what the ledger and its users had of it."""
    with servers.application() as app:
        for engine in ("rq", "dramatiq"):
            pretend(app, engine)
        record(app, jobs)
        words = ("-m", "failsoft.worker", "maintenance")
        rescuer = Process(sys.executable, *words, log=servers.folder / "maintenance.log", cwd=ROOT)
        with closing(OtherDispatches(app)) as others:
            time.sleep(BEFORE)
            before = others.take()
            load = Load(servers, rescuer)
            servers.valkey.kill()
            began = time.monotonic()
            wait_until(lambda: waiting_at(app, "rq") == 0, 10 * PATIENCE, "all are handed over")
            seconds = time.monotonic() - began
            meanwhile = others.take()
        found = {
            **row(f"{jobs:,} jobs are handed over after the kill", "s", [seconds]),
            "ledger": servers.ledger,
            "cpu_s": load.cpu(),
            "transactions": load.transactions(),
            "other_dispatches": {"before": before, "meanwhile": meanwhile},
        }
        rescuer.kill()
        return found


class OtherDispatches:
    """Dispatch to Dramatiq again and again in another thread, and time each."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._times = list[float]()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(PACE):
            call = lambda: self._app.dispatcher.dispatch(  # noqa: E731
                no_op, Payload(number=0), engines=("dramatiq",)
            )
            self._times.append(lasting(call))

    def take(self) -> Mapping[str, float]:
        """Return p50 and p99 in milliseconds of what was measured since the last call."""
        times, self._times = self._times, []
        p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
        return {
            "count": len(times),
            "p50_ms": round(statistics.median(times), 2),
            "p99_ms": round(p99, 2),
        }

    def close(self) -> None:
        """Stop dispatching."""
        self._stopping.set()
        self._thread.join()


class Load:
    """What the ledger's database has done since it was made."""

    def __init__(self, servers: Servers, rescuer: Process) -> None:
        self._postgres = servers.postgres
        self._rescuer = rescuer
        self._cpu, self._commits = self._used(), self._committed()

    def cpu(self) -> float:
        """Return the processor time in seconds."""
        return round(self._used() - self._cpu, 2)

    def transactions(self) -> int | None:
        """Return how many were committed; None on SQLite, which counts none."""
        return self._committed() - self._commits if self._postgres else None

    def _used(self) -> float:
        server = self._postgres.process if self._postgres else self._rescuer
        assert server is not None  # noqa: S101 - it was started
        main = psutil.Process(server.pid)
        # What ended meanwhile is in the first one's sum of its children.
        used = sum(main.cpu_times()[:4])
        return used + sum(sum(each.cpu_times()[:2]) for each in main.children(recursive=True))

    def _committed(self) -> int:
        if self._postgres is None:
            return 0
        query = text("SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = 'bench'")
        with closing(Database(self._postgres.url("bench"))) as database:
            return int(database.read(lambda c: c.execute(query).scalar_one()))


def pretend(app: App, engine: str) -> None:
    """Have the ledger believe that a worker of an engine lives."""
    ghost = WorkerRecord(f"pretended-{engine}", engine, QUEUE.name, "here", 1, 8)
    app.ledger.beat(ghost, HOUR)


def strand(app: App, jobs: int) -> None:
    """Dispatch jobs to RQ, where no worker takes them."""
    outcomes = app.dispatcher.dispatch_many(
        no_op, [Payload(number=number) for number in range(jobs)], engines=("rq", "dramatiq")
    )
    if waiting_at(app, "rq") != len(outcomes):
        raise AssertionError("expected every job to wait at RQ")


def record(app: App, jobs: int) -> None:
    """Record jobs that wait at RQ; their messages would be lost with it anyway."""
    new = NewJob("stranded", no_op.name, QUEUE.name, '{"number": 0}', "0" * 64)
    app.ledger.record_job(new, OfferPlan("rq", HOUR))
    # The others are copies of it: to record them one by one would take minutes.
    for table, key in ((job_rows, "id"), (events, "job_id")):
        copied = ", ".join(each.name for each in table.columns if each.name != key)
        statement = text(COPIES.format(table=table.name, key=key, columns=copied))
        given = {"first": new.id, "last": jobs - 1}
        app.ledger.database.write(partial(_execute, statement, given))


def _execute(statement: TextClause, given: Mapping[str, Any], connection: Connection) -> None:
    connection.execute(statement, given)


def waiting_at(app: App, engine: str) -> int:
    """Return how many offers of an engine wait."""
    query = select(func.count()).where(job_rows.c.state == "offered", job_rows.c.engine == engine)
    return int(app.ledger.database.read(lambda c: c.execute(query).scalar_one()))


def lasting(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call took."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def row(
    name: str, unit: str, rounds: Sequence[float], *, limit: float | None = None
) -> dict[str, Any]:
    """Return a row: what was measured, its target, the median of the rounds, least and greatest."""
    figure = round(statistics.median(rounds), 2)
    return {
        "name": name,
        "target": "" if limit is None else f"≤ {limit:g} {unit}",
        "figure": figure,
        "spread": [round(min(rounds), 2), round(max(rounds), 2)],
        "met": None if limit is None else figure <= limit,
        "unit": unit,
    }


if __name__ == "__main__":
    main()
