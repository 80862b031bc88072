"""Dispatching beside raw RQ and raw Dramatiq, interleaved in one run, as ratios.

    make bench                        # SQLite
    make bench ARGS="--ledger postgresql --count 500"

Healthy: `dispatch_job` on RQ beside `Queue.enqueue`. Outage: Redis is killed, and `dispatch_job`
on Dramatiq stands beside `actor.send` with publisher confirms on the same RabbitMQ. One call of
each in turn, so that whatever else the machine does falls on both.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from pydantic import BaseModel
from redis import Redis
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rq import Queue

from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from understudy.dispatcher import Dispatcher
from understudy.job_engine import JobContext, job
from understudy.ledger import Database
from understudy.ledger.upgrading import upgrade
from understudy.worker.embedded import EmbeddedValkey
from understudy.worker.settings import load_settings
from understudy.worker.wiring import build


class Payload(BaseModel):
    """Something small, as most payloads are."""

    user_id: int
    email: str


@job(queue="default")
def bench_job(payload: Payload, ctx: JobContext) -> int:
    """Never run: dispatching is measured."""
    return payload.user_id


def interleaved(
    count: int, title: str, raw: Callable[[int], object], ours: Callable[[int], object]
) -> tuple[list[float], list[float]]:
    """Call one and the other in turn; return the milliseconds of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in track(range(count), description=title):
        for call, into in ((raw, times[0]), (ours, times[1])):
            started = time.perf_counter()
            call(number)
            into.append((time.perf_counter() - started) * 1000)
    return times


def report(
    console: Console, title: str, names: tuple[str, str], times: tuple[list[float], ...]
) -> None:
    """Print p50 and p99 of both, and the ratios."""
    table = Table("", "p50 ms", "p99 ms", title=title, title_justify="left")
    figures = [(statistics.median(each), statistics.quantiles(each, n=100)[98]) for each in times]
    for name, (p50, p99) in zip(names, figures, strict=True):
        table.add_row(name, f"{p50:.2f}", f"{p99:.2f}")
    ratios = [ours / raw for raw, ours in zip(*figures, strict=True)]
    table.add_row("ratio", *(f"{ratio:.2f}x" for ratio in ratios), style="bold")
    console.print(table)


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run(arguments.count, arguments.ledger, folder, stack)


def run(count: int, ledger: str, folder: Path, stack: ExitStack) -> None:
    """Start the servers and compare."""
    console = Console()
    valkey = stack.enter_context(EmbeddedValkey(made(folder / "valkey")))
    rabbitmq = RabbitMQ(made(folder / "rabbitmq"))
    rabbitmq.start()
    stack.callback(rabbitmq.stop)
    dispatcher = our_dispatcher(ledger_url(ledger, folder, stack), valkey.url, rabbitmq.url)
    names = ("Queue.enqueue", "dispatch_job")
    times = interleaved(count, "healthy", raw_rq(valkey.url), ours(dispatcher))
    report(console, f"Healthy: RQ, {ledger} ledger, {count} calls each", names, times)
    report_many(console, dispatcher, count, statistics.fmean(times[1]))
    raw = raw_dramatiq(rabbitmq.url)
    valkey.kill()
    first = time.perf_counter()
    ours(dispatcher)(0)
    console.print(f"first dispatch after the kill: {(time.perf_counter() - first) * 1000:.1f} ms")
    times = interleaved(count, "outage", raw, ours(dispatcher))
    names = ("actor.send, confirmed", "dispatch_job")
    report(console, f"Outage: Dramatiq, {ledger} ledger, {count} calls each", names, times)
    dispatcher.close()


def report_many(console: Console, dispatcher: Dispatcher, count: int, one_ms: float) -> None:
    """Print how many jobs a second `dispatch_many` takes, beside one by one."""
    payloads = [Payload(user_id=number, email="ada@example.org") for number in range(count)]
    started = time.perf_counter()
    outcomes = dispatcher.dispatch_many(bench_job, payloads)
    rate = count / (time.perf_counter() - started)
    done = sum(outcome.handle is not None for outcome in outcomes)
    single = 1000 / one_ms
    console.print(
        f"dispatch_many: {done} jobs at {rate:,.0f} a second, {single:,.0f} one by one: "
        f"{rate / single:.1f}x"
    )


def made(folder: Path) -> Path:
    """Return a folder, made."""
    folder.mkdir()
    return folder


def ledger_url(kind: str, folder: Path, stack: ExitStack) -> str:
    """Return the URL of a fresh ledger's database."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/ledger.db"
    # A folder of its own: PostgreSQL runs as another user under root, who cannot enter that one.
    apart = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    postgres = Postgres(Path(apart))
    postgres.start()
    stack.callback(postgres.stop)
    return postgres.create_database("bench")


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


def raw_rq(url: str) -> Callable[[int], object]:
    """Return a call of `Queue.enqueue`, with RQ's own defaults."""
    queue = Queue("raw", connection=Redis.from_url(url))
    return lambda number: queue.enqueue("bench.jobs.work", number, "ada@example.org")


def raw_dramatiq(url: str) -> Callable[[int], object]:
    """Return a call of `actor.send` that waits for the confirm."""
    broker = RabbitmqBroker(url=url, confirm_delivery=True)

    @dramatiq.actor(broker=broker, queue_name="raw")
    def work(number: int, email: str) -> None:
        """Never run."""

    return lambda number: work.send(number, "ada@example.org")


if __name__ == "__main__":
    main()
