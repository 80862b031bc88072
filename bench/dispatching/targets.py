"""Whether a dispatch reaches its targets: each row with its target, figure, spread and verdict.

    PYTHONPATH=. python bench/dispatching/targets.py [--ledger postgresql] [--count 500]

Every row is measured beside its floor in the same run, call by call in turn.
"""

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis
from rq import Queue
from rq.scripts import UNIQUE_ENQUEUE_SCRIPT

from bench.dispatching.callers import of_threads
from bench.dispatching.calls import (
    made,
    our_dispatcher,
    ours,
    ours_many,
    raw_dramatiq,
    raw_rq,
    raw_rq_many,
)
from bench.report.bars import at_least, at_most
from bench.servers import database_url
from failsoft.dispatcher import Dispatcher
from failsoft.queue.embedded_valkey import EmbeddedValkey
from tests.servers.rabbitmq import RabbitMQ

Row = dict[str, Any]
Call = Callable[[int], object]

#: The threads that dispatch side by side.
THREADS = 8
#: How many times Redis is killed, for the first dispatch after that.
FIRSTS = 9


def row(name: str, bar: dict[str, Any], figure: float, spread: Sequence[float]) -> Row:
    """Return a row of the table."""
    low, high = min(spread), max(spread)
    return {
        "name": name,
        **bar,
        "figure": round(figure, 2),
        "spread": [round(low, 2), round(high, 2)],
    }


def in_turn(calls: dict[str, Call], count: int, rounds: int = 3) -> list[dict[str, list[float]]]:
    """Make one call of each in turn; return the microseconds of each round."""
    found = []
    for _ in range(rounds):
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(count // rounds):
            for name, call in calls.items():
                began = time.perf_counter()
                call(number)
                times[name].append((time.perf_counter() - began) * 1e6)
        found.append(times)
    return found


def p50(times: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(times)


def p99(times: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def two_row_commit(kind: str, url: str, folder: Path, stack: ExitStack) -> Call:
    """Return a commit of two rows in bare tables on the same disk or server, each call."""
    is_sqlite = kind == "sqlite"
    driver: Any
    if is_sqlite:
        driver = sqlite3.connect(folder / "floor.db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            driver.execute(f"PRAGMA {pragma}")
    else:
        driver = psycopg.connect(url.replace("+psycopg", ""), autocommit=True, prepare_threshold=0)
    stack.enter_context(closing(driver))
    driver.execute("CREATE TABLE bench_one (id varchar(64) PRIMARY KEY, body text)")
    driver.execute("CREATE TABLE bench_two (id varchar(64), n integer, body text)")
    mark = "?" if is_sqlite else "%s"
    cursor, begin = driver.cursor(), "BEGIN IMMEDIATE" if is_sqlite else "BEGIN"

    def call(_: int) -> None:
        own_id = f"{time.perf_counter_ns():032x}"
        cursor.execute(begin)
        cursor.execute(f"INSERT INTO bench_one VALUES ({mark}, {mark})", (own_id, "x" * 200))  # noqa: S608 - a mark
        cursor.execute(f"INSERT INTO bench_two VALUES ({mark}, 1, {mark})", (own_id, "x" * 100))  # noqa: S608 - a mark
        cursor.execute("COMMIT")

    return call


def lua_call(client: Redis) -> Call:
    """Return a call of RQ's script with as many fields as a job has."""
    script = client.register_script(UNIQUE_ENQUEUE_SCRIPT)
    fields = [part for n in range(18) for part in (f"field{n}", "value of some length")]

    def call(_: int) -> None:
        own_id = f"bench-{time.perf_counter_ns()}"
        script([f"rq:job:{own_id}", "rq:queue:floor"], [own_id, "R", -1, *fields])

    return call


def latency(calls: dict[str, Call], kind: str, count: int) -> Iterator[Row]:
    """Yield p50 and p99 of one caller beside raw RQ, and beside a commit and a call."""
    rounds = in_turn(calls, count)
    if kind == "sqlite":
        ratios = [p50(each["ours"]) / p50(each["raw"]) for each in rounds]
        figure, bar = statistics.median(ratios), 1.25
        yield row("dispatch / enqueue, p50", at_most("x", bar, figure), figure, ratios)
    else:
        floors = [p50(each["ours"]) / (p50(each["commit"]) + p50(each["lua"])) for each in rounds]
        figure = statistics.median(floors)
        yield row("dispatch / (commit + Lua call), p50", at_most("x", 1.3, figure), figure, floors)
    tails = [p99(each["ours"]) / (2 * p99(each["raw"]) + p99(each["commit"])) for each in rounds]
    figure = statistics.median(tails)
    yield row("dispatch / (2 enqueue + commit), p99", at_most("x", 1, figure), figure, tails)


def threads(dispatch: Call, raw: Call, count: int) -> Row:
    """Return how many jobs eight threads dispatch, beside eight that enqueue."""
    pairs = [[of_threads(each, THREADS, count) for each in (raw, dispatch)] for _ in range(3)]
    ratios = [dispatched / enqueued for enqueued, dispatched in pairs]
    figure = statistics.median(ratios)
    return row(
        f"{THREADS} threads, dispatches / enqueues", at_least("x", 1, figure), figure, ratios
    )


def bulk(dispatch: Call, raw: Call, kind: str, rounds: int = 3) -> Row:
    """Return `dispatch_many` beside `Queue.enqueue_many`.

    On PostgreSQL 0.7 of Procrastinate's bulk is about 0.9 of it.
    """
    found = in_turn({"raw": raw, "ours": dispatch}, rounds, rounds)
    ratios = [each["raw"][0] / each["ours"][0] for each in found]
    figure, bar = statistics.median(ratios), 1.0 if kind == "sqlite" else 0.9
    return row("dispatch_many / enqueue_many", at_least("x", bar, figure), figure, ratios)


def first_dispatch(new: Callable[[], Dispatcher], valkey: EmbeddedValkey) -> Row:
    """Return the first dispatch after Redis is killed, each of a dispatcher with both connected."""
    found = []
    for _ in range(FIRSTS):
        valkey.start()
        with closing(new()) as dispatcher:
            ours(dispatcher)(0)
            ours_many(dispatcher, 1, "dramatiq")(0)
            valkey.kill()
            began = time.perf_counter()
            ours(dispatcher)(1)
            found.append((time.perf_counter() - began) * 1000)
    first = statistics.median(found)
    return row("first dispatch at a refused Redis, ms", at_most("ms", 10, first), first, found)


def outage(calls: dict[str, Call], count: int) -> Row:
    """Return what a dispatch takes while Redis is known to be away."""
    for number in range(20):
        calls["send"](number)
        calls["ours"](number)
    rounds = in_turn(calls, count)
    ratios = [p50(each["ours"]) / (p50(each["send"]) + p50(each["commit"])) for each in rounds]
    figure = statistics.median(ratios)
    return row("in an outage / (send + commit), p50", at_most("x", 1.2, figure), figure, ratios)


def rows(kind: str, count: int, many: int) -> Iterator[Row]:
    """Start the servers and yield every row."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        valkey = stack.enter_context(EmbeddedValkey(made(folder / "valkey")))
        rabbitmq = RabbitMQ(made(folder / "rabbitmq"))
        rabbitmq.start()
        stack.callback(rabbitmq.stop)
        url = database_url(kind, folder, stack)
        new = partial(our_dispatcher, url, valkey.url, rabbitmq.url)
        dispatcher = new()
        stack.callback(dispatcher.close)
        client = Redis.from_url(valkey.url)
        queue = Queue("raw", connection=client)
        dispatch, raw = ours(dispatcher), raw_rq(queue)
        commit = two_row_commit(kind, url, folder, stack)
        for number in range(50):
            dispatch(number)
            raw(number)
        calls = {"raw": raw, "ours": dispatch, "commit": commit, "lua": lua_call(client)}
        yield from latency(calls, kind, count)
        yield threads(dispatch, raw, count)
        yield bulk(ours_many(dispatcher, many, "rq"), raw_rq_many(queue, many), kind)
        yield first_dispatch(new, valkey)
        calls = {"send": raw_dramatiq(rabbitmq.url), "ours": dispatch, "commit": commit}
        yield outage(calls, count)


def main() -> None:
    """Print the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--count", type=int, default=900)
    parser.add_argument("--many", type=int, default=10_000)
    arguments = parser.parse_args()
    for each in rows(arguments.ledger, arguments.count, arguments.many):
        print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main()
