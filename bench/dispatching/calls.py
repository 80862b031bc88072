"""Dispatching beside raw RQ and raw Dramatiq, interleaved in one run, as ratios.

    make bench                        # SQLite
    make bench ARGS="--ledger postgresql --count 500 --json"

Healthy: `dispatch_job` on RQ beside `Queue.enqueue`. Outage: Redis is killed, and `dispatch_job`
on Dramatiq stands beside `actor.send` with publisher confirms on the same RabbitMQ. Many: a
`dispatch_many` of `--many` payloads beside one `Queue.enqueue_many`, and beside that many sends.
One call of each in turn, so that whatever else the machine does falls on both.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from pydantic import BaseModel
from redis import Redis
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rq import Queue

from bench.servers import database_url
from failsoft.dispatcher import Dispatcher
from failsoft.job_engine import JobContext, job
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.queue.embedded_valkey import EmbeddedValkey
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import build
from tests.servers.rabbitmq import RabbitMQ


class Payload(BaseModel):
    """Something small, as most payloads are."""

    user_id: int
    email: str


@job(queue="default")
def bench_job(payload: Payload, ctx: JobContext) -> int:
    """Never run: dispatching is measured."""
    return payload.user_id


def interleaved(
    console: Console, title: str, count: int, calls: dict[str, Callable[[int], object]]
) -> dict[str, Any]:
    """Call the raw one and ours in turn; print and return the milliseconds, and the ratios."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in track(range(count), description=title, console=console):
        for name, call in calls.items():
            started = time.perf_counter()
            call(number)
            times[name].append((time.perf_counter() - started) * 1000)
    found = figures(title, times)
    table = Table("", "p50 ms", "p99 ms", title=f"{title}, {count} calls each")
    for row in found["calls"]:
        table.add_row(row["call"], f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}")
    table.add_row("ratio", *(f"{found[name]:.2f}x" for name in ("p50", "p99")), style="bold")
    console.print(table)
    return found


def figures(title: str, times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return p50 and p99 of the raw call and of ours, and how often ours takes theirs."""
    rows = [
        {
            "call": name,
            "p50_ms": round(statistics.median(each), 3),
            "p99_ms": round(statistics.quantiles(each, n=100, method="inclusive")[98], 3),
        }
        for name, each in times.items()
    ]
    raw, ours = rows
    ratios = {which: round(ours[f"{which}_ms"] / raw[f"{which}_ms"], 2) for which in ("p50", "p99")}
    return {"what": title, "rounds": len(next(iter(times.values()))), "calls": rows, **ratios}


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--many", type=int, default=1000, help="payloads of a dispatch_many")
    parser.add_argument("--rounds", type=int, default=10, help="of dispatch_many")
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = list(run(arguments, folder, console, stack))
    if arguments.json:
        print(json.dumps({"ledger": arguments.ledger, "found": found}, indent=2))


def run(
    arguments: argparse.Namespace, folder: Path, console: Console, stack: ExitStack
) -> Iterator[dict[str, Any]]:
    """Start the servers and compare."""
    valkey = stack.enter_context(EmbeddedValkey(made(folder / "valkey")))
    rabbitmq = RabbitMQ(made(folder / "rabbitmq"))
    rabbitmq.start()
    stack.callback(rabbitmq.stop)
    url = database_url(arguments.ledger, folder, stack)
    dispatcher = our_dispatcher(url, valkey.url, rabbitmq.url)
    stack.callback(dispatcher.close)
    queue = Queue("raw", connection=Redis.from_url(valkey.url))
    send, rounds, many = raw_dramatiq(rabbitmq.url), arguments.rounds, arguments.many
    pair = {"Queue.enqueue": raw_rq(queue), "dispatch_job": ours(dispatcher)}
    yield interleaved(console, "healthy, RQ", arguments.count, pair)
    pair = {"Queue.enqueue_many": raw_rq_many(queue, many)}
    pair |= {"dispatch_many": ours_many(dispatcher, many, "rq")}
    yield interleaved(console, f"{many} at once, RQ", rounds, pair)
    pair = {"actor.send, each": lambda _: [send(number) for number in range(many)]}
    pair |= {"dispatch_many": ours_many(dispatcher, many, "dramatiq")}
    yield interleaved(console, f"{many} at once, Dramatiq", rounds, pair)
    valkey.kill()
    first = time.perf_counter()
    ours(dispatcher)(0)
    console.print(f"first dispatch after the kill: {(time.perf_counter() - first) * 1000:.1f} ms")
    pair = {"actor.send, confirmed": send, "dispatch_job": ours(dispatcher)}
    yield interleaved(console, "outage, Dramatiq", arguments.count, pair)


def made(folder: Path) -> Path:
    """Return a folder, made."""
    folder.mkdir()
    return folder


def our_dispatcher(ledger: str, redis_url: str, amqp_url: str) -> Dispatcher:
    """Return a dispatcher as an application has it."""
    upgrade(Database(ledger))
    settings = load_settings(ledger_url=ledger, redis_url=redis_url, amqp_url=amqp_url)
    return build(settings).dispatcher


def ours(dispatcher: Dispatcher) -> Callable[[int], object]:
    """Return a call of `dispatch_job`."""
    return lambda number: dispatcher.dispatch(
        bench_job, Payload(user_id=number, email="ada@example.org")
    )


def ours_many(dispatcher: Dispatcher, many: int, engine: str) -> Callable[[int], object]:
    """Return a call of `dispatch_many`."""
    payloads = [Payload(user_id=number, email="ada@example.org") for number in range(many)]

    def call(_: int) -> None:
        outcomes = dispatcher.dispatch_many(bench_job, payloads, engines=(engine,))
        if any(outcome.handle is None for outcome in outcomes):
            raise AssertionError("expected every job to be dispatched")

    return call


def raw_rq(queue: Queue) -> Callable[[int], object]:
    """Return a call of `Queue.enqueue`, with RQ's own defaults."""
    return lambda number: queue.enqueue("bench.jobs.work", number, "ada@example.org")


def raw_rq_many(queue: Queue, many: int) -> Callable[[int], object]:
    """Return a call of `Queue.enqueue_many`, in its one pipeline."""

    def call(_: int) -> None:
        arguments = ((number, "ada@example.org") for number in range(many))
        queue.enqueue_many([Queue.prepare_data("bench.jobs.work", args) for args in arguments])

    return call


def raw_dramatiq(url: str) -> Callable[[int], object]:
    """Return a call of `actor.send` that waits for the confirm."""
    broker = RabbitmqBroker(url=url, confirm_delivery=True)

    @dramatiq.actor(broker=broker, queue_name="raw")
    def work(number: int, email: str) -> None:
        """Never run."""

    return lambda number: work.send(number, "ada@example.org")


if __name__ == "__main__":
    main()
