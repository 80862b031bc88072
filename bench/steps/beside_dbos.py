"""Steps a second of jobs of ten steps, beside DBOS on the same database in the same run.

    make bench-steps                             # PostgreSQL, then SQLite
    make bench-steps ARGS="--ledger sqlite --json"
    TMPDIR=/dev/shm make bench-steps             # where a commit waits for no disk

One after the other: each in a process of its own, a job of each in turn, from its row to its
result. Through the queue: a batch of each in turn, dispatched one by one, until its last job has
ended; RQ's worker has 16 slots, Dramatiq's 8 threads, and DBOS's process takes 16 workflows at
once and looks for them ten times a second (its default is once). A step adds one. In turn, so
that whatever else the machine does falls on all. Beside them a bare INSERT on one connection of
the driver, committed ten times: no program that keeps every step on this disk can be faster.

Both commit each step durably: PostgreSQL with fsync and synchronous_commit on, SQLite with
synchronous=FULL. They share one database; on SQLite that gives DBOS the write-ahead log, which is
faster than the journal that it takes by itself.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from bench.servers import database_url
from bench.steps import dbos_steps, failsoft_steps
from bench.steps.apart import Apart
from bench.steps.failsoft_steps import STEPS
from failsoft.queue.embedded_valkey import EmbeddedValkey
from tests.servers.processes import wait_until
from tests.servers.rabbitmq import RabbitMQ

LEDGERS = ("postgresql", "sqlite")
ALONE = "one after the other"
#: The most that a step may take in process, in times one commit; the least steps of DBOS's.
TIMES_COMMIT, TIMES_DBOS = 1.5, 6.0
#: How long a batch may take, in seconds.
PATIENCE = 600

Call = Callable[[int], object]
#: Does it, and returns the seconds that it took.
Timed = Callable[[int], float]
#: The seconds of each round, by what was measured.
Times = Mapping[str, list[float]]

_OURS = "SELECT count(*) FROM failsoft_jobs WHERE state = 'succeeded'"
_THEIRS = "SELECT count(*) FROM {} WHERE status = 'SUCCESS'"
_COMMITS = {
    "postgresql": ("SHOW fsync", "SHOW synchronous_commit"),
    "sqlite": ("PRAGMA journal_mode", "PRAGMA synchronous"),
}


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=LEDGERS, help="one of them; both otherwise")
    parser.add_argument("--jobs", type=int, default=300, help="one after the other, of each")
    parser.add_argument("--batch", type=int, default=100, help="jobs of a batch")
    parser.add_argument("--rounds", type=int, default=5, help="batches of each")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    found = []
    for ledger in [arguments.ledger] if arguments.ledger else LEDGERS:
        with ExitStack() as stack:
            found.append(measured(ledger, arguments, console, stack))
        console.print(as_table(found[-1]))
    if arguments.json:
        print(json.dumps([{**each, "rows": list(rows(each))} for each in found], indent=2))


def measured(
    ledger: str, arguments: argparse.Namespace, console: Console, stack: ExitStack
) -> dict[str, Any]:
    """Start what one ledger needs and measure both ways of working on it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    url = database_url(ledger, folder, stack)
    database = create_engine(url)
    alone: dict[str, Timed] = {}
    for who, module in (("Failsoft", failsoft_steps), ("DBOS", dbos_steps)):
        contender = Apart(module.__name__, url)
        stack.callback(contender.stop)
        alone[who] = contender.run
    alone["bare INSERTs"] = timed(bare_inserts(database, stack))
    times = in_turn(arguments.jobs, f"{ledger}, {ALONE}", console, alone)
    batches = queues(database, folder, stack, count=arguments.batch)
    queued = in_turn(arguments.rounds, f"{ledger}, through the queue", console, batches)
    return {
        "ledger": ledger,
        "folder": tempfile.gettempdir(),
        "load": round(os.getloadavg()[0], 1),
        "commits": commits(database, ledger),
        ALONE: {"jobs": arguments.jobs, "rates": rates(times, STEPS)},
        "through the queue": {
            "jobs": arguments.batch,
            "rounds": arguments.rounds,
            "rates": rates(queued, STEPS * arguments.batch),
        },
    }


def rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the rows of what `measured` found of one ledger, beside their targets."""
    alone = {each["who"]: each["p50_ms"] for each in found[ALONE]["rates"]}
    yield {
        "name": "a step in process, beside one commit of a bare INSERT",
        "target": f"≤ {TIMES_COMMIT:g}x",
        "figure": (figure := round(alone["Failsoft"] / alone["bare INSERTs"], 2)),
        "spread": [figure, figure],
        "met": figure <= TIMES_COMMIT,
        "ledger": found["ledger"],
    }
    for way in (ALONE, "through the queue"):
        for each in found[way]["rates"]:
            if each["who"].startswith("Failsoft"):
                yield {
                    "name": f"steps/s {way}, {each['who']}, beside DBOS",
                    "target": f"≥ {TIMES_DBOS:g}x",
                    "figure": each["times_dbos"],
                    "spread": [each["times_dbos"]] * 2,
                    "met": each["times_dbos"] >= TIMES_DBOS,
                    "ledger": found["ledger"],
                    "steps/s": each["steps_per_second"],
                }


def bare_inserts(database: Engine, stack: ExitStack) -> Call:
    """Return a call that inserts so many rows as a job has steps, each in a commit of its own."""
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE bare (number INTEGER)"))
    driver: Any = stack.enter_context(closing(database.raw_connection())).driver_connection
    if database.dialect.name == "sqlite":
        driver.isolation_level = None
    else:
        driver.autocommit = True

    def call(_: int) -> None:
        for number in range(STEPS):
            driver.execute(f"INSERT INTO bare VALUES ({number:d})")  # noqa: S608 - a number

    return call


def queues(database: Engine, folder: Path, stack: ExitStack, *, count: int) -> dict[str, Timed]:
    """Start the workers; return what sends each a batch and waits for its end."""
    url = database.url.render_as_string(hide_password=False)
    valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
    rabbitmq = RabbitMQ(folder)
    rabbitmq.start()
    stack.callback(rabbitmq.stop)
    env = {
        "FAILSOFT_LEDGER_URL": url,
        "REDIS_URL": valkey.url,
        "AMQP_URL": rabbitmq.url,
        "FAILSOFT_JOBS": "bench.steps.failsoft_steps",
    }
    ours = failsoft_steps.Workers(env, folder)
    stack.callback(ours.stop)
    theirs = dbos_steps.Worker(url, folder)
    stack.callback(theirs.stop)
    table = "workflow_status" if database.dialect.name == "sqlite" else "dbos.workflow_status"
    ended = {"ours": _OURS, "theirs": _THEIRS.format(table)}

    def batch(call: Call, which: str) -> Timed:
        return timed(lambda _: work_off(call, count, lambda: number(database, ended[which])))

    return {
        "Failsoft, RQ": batch(ours.dispatch_to("rq"), "ours"),
        "Failsoft, Dramatiq": batch(ours.dispatch_to("dramatiq"), "ours"),
        "DBOS": batch(theirs.enqueue(), "theirs"),
    }


def work_off(call: Call, count: int, ended: Callable[[], int]) -> None:
    """Send a batch of jobs, and wait until so many more have ended."""
    before = ended()
    for number in range(count):
        call(number)
    wait_until(lambda: ended() >= before + count, PATIENCE, "the batch has ended")


def number(database: Engine, query: str) -> int:
    """Return what a query counts."""
    with database.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def timed(call: Call) -> Timed:
    """Return the call with a clock."""

    def run(number: int) -> float:
        started = time.perf_counter()
        call(number)
        return time.perf_counter() - started

    return run


def in_turn(rounds: int, title: str, console: Console, calls: Mapping[str, Timed]) -> Times:
    """Call each in turn, once before anything counts; return the seconds of every call."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in track(range(rounds + 1), description=title, console=console):
        for name, call in calls.items():
            seconds = call(round_)
            if round_:
                times[name].append(seconds)
    return times


def rates(times: Times, steps: int) -> list[dict[str, Any]]:
    """Return the steps a second of each in the median of its rounds, and how often DBOS's."""
    medians = {name: statistics.median(each) for name, each in times.items()}
    return [
        {
            "who": name,
            "p50_ms": round(median * 1000, 2),
            "steps_per_second": round(steps / median),
            "times_dbos": round(medians["DBOS"] / median, 2),
        }
        for name, median in medians.items()
    ]


def commits(database: Engine, ledger: str) -> str:
    """Return how the database that both share commits."""
    with database.connect() as connection:
        return ", ".join(
            f"{setting.split()[-1]}={connection.execute(text(setting)).scalar_one()}"
            for setting in _COMMITS[ledger]
        )


def as_table(found: Mapping[str, Any]) -> Table:
    """Return a table of one ledger's figures."""
    table = Table("", "", "p50 ms", "steps a second", "DBOS", title_justify="left")
    table.title = f"{found['ledger']}, {found['commits']}"
    for way in (ALONE, "through the queue"):
        for rate in found[way]["rates"]:
            times = f"{rate['times_dbos']:.2f}x"
            figures: Sequence[str] = (f"{rate['p50_ms']:.1f}", f"{rate['steps_per_second']:,}")
            table.add_row(way, rate["who"], *figures, times)
    return table


if __name__ == "__main__":
    main()
