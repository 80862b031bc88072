"""How long a dispatch takes while a broker is down, silent, blocked or frozen, beside its budget.

    make bench-outages                       # SQLite, 100 calls a row
    make bench-outages ARGS="--count 300 --budget 0.5"

F06: Redis refuses connections. F07: it is silent, in a connection that stood and in new ones.
F11: RabbitMQ, first in the job's order, has a memory alarm or is frozen. `first` is what the first
failure costs: each call has a dispatcher that trusts every engine. `next` is what the calls after
it cost, while the breaker is open. The promise is p99 <= budget + 50 ms.

Each call is followed by two that call no engine: a wait of half a second for nothing, and a
dispatch with a delay, which the ledger alone takes. What they are late by, the machine is.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from rich.console import Console
from rich.progress import track
from rich.table import Table

from failsoft.dispatcher import Dispatcher
from failsoft.job_engine import JobContext, job
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.queue.embedded_valkey import EmbeddedValkey
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.wiring import build
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ

MARGIN_MS = 50


class Payload(BaseModel):
    """Something small, as most payloads are."""

    user_id: int


@job(queue="default")
def bench_job(payload: Payload, ctx: JobContext) -> int:
    """Never run: dispatching is measured."""
    return payload.user_id


PAYLOAD = Payload(user_id=0)
HOUR = timedelta(hours=1)


class Outage(NamedTuple):
    """A fault, how it is brought about and mended, and the order of engines that meets it."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    engines: Sequence[str]


def main() -> None:
    """Measure every outage and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds")
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    parser.add_argument("--only", default="", help="part of the name of an outage, such as F11")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run(arguments, folder, stack)


def run(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
    """Start the servers and measure."""
    valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
    rabbitmq = RabbitMQ(folder)
    rabbitmq.start()
    stack.callback(rabbitmq.stop)
    proxy = stack.enter_context(TcpProxy(valkey.port))
    settings = our_settings(
        folder, f"redis://127.0.0.1:{proxy.port}/0", rabbitmq.url, arguments.budget
    )
    console = Console(stderr=arguments.json)
    limit = arguments.budget * 1000 + MARGIN_MS
    table = Table("outage", "", "p50 ms", "p99 ms", "max ms", "", title=f"p99 <= {limit:.0f} ms")
    found: list[dict[str, Any]] = []
    for outage in [each for each in outages(proxy, rabbitmq) if arguments.only in each.name]:
        with begun(outage):
            for which, times in measured(settings, outage, arguments.count, console):
                row = {"outage": outage.name, "which": which, **figures(times, limit)}
                found.append(row)
                table.add_row(*(str(value) for value in row.values()))
    console.print(table)
    if arguments.json:
        print(json.dumps({"calls": arguments.count, "limit_ms": limit, "found": found}, indent=2))


def our_settings(folder: Path, redis_url: str, amqp_url: str, budget: float) -> Settings:
    """Return the settings of an application with a fresh SQLite ledger."""
    ledger = f"sqlite:///{folder}/ledger.db"
    upgrade(Database(ledger))
    return load_settings(
        ledger_url=ledger,
        redis_url=redis_url,
        amqp_url=amqp_url,
        dispatch_budget=timedelta(seconds=budget),
    )


def outages(proxy: TcpProxy, rabbitmq: RabbitMQ) -> Iterator[Outage]:
    """Return what is measured."""

    def fall_silent() -> None:
        proxy.half_open()
        proxy.blackhole()

    from_rq, from_dramatiq = ("rq", "dramatiq"), ("dramatiq", "rq")
    yield Outage("F06 Redis is down", proxy.refuse, proxy.heal, from_rq)
    yield Outage("F07 Redis is silent", fall_silent, proxy.heal, from_rq)
    yield Outage(
        "F11 RabbitMQ has an alarm",
        lambda: rabbitmq.memory_alarm(on=True),
        lambda: rabbitmq.memory_alarm(on=False),
        from_dramatiq,
    )
    yield Outage("F11 RabbitMQ is frozen", rabbitmq.freeze, rabbitmq.thaw, from_dramatiq)


@contextmanager
def begun(outage: Outage) -> Iterator[None]:
    """Let an outage last for a block."""
    outage.begin()
    try:
        yield
    finally:
        outage.end()


def measured(
    settings: Settings, outage: Outage, count: int, console: Console
) -> Iterator[tuple[str, Sequence[float]]]:
    """Time the first failures, each of a new dispatcher, and then the calls after one."""
    rows: dict[str, list[float]] = {"first": [], "half a second": [], "ledger only": []}
    for _ in tracked(count, f"{outage.name}, first", console):
        # An application has one: what the threads of others do would count against it.
        with closing(build(settings, quiet).dispatcher) as fresh:
            rows["first"].append(timed(fresh, outage, 0))
            rows["half a second"].append(lasting(lambda: threading.Event().wait(0.5)))
            later = partial(fresh.dispatch, bench_job, PAYLOAD, delay=HOUR)
            rows["ledger only"].append(lasting(later))
    yield from rows.items()
    with closing(build(settings, quiet).dispatcher) as dispatcher:
        timed(dispatcher, outage, 0)
        numbers = tracked(count, f"{outage.name}, next", console)
        yield "next", [timed(dispatcher, outage, number) for number in numbers]


def tracked(count: int, title: str, console: Console) -> Iterator[int]:
    """Count, and show how far it is."""
    yield from track(range(count), description=title, console=console)


def quiet(event: object) -> None:
    """Report nothing."""


def timed(dispatcher: Dispatcher, outage: Outage, number: int) -> float:
    """Dispatch once and return the milliseconds it took."""
    payload = Payload(user_id=number)
    return lasting(lambda: dispatcher.dispatch(bench_job, payload, engines=outage.engines))


def lasting(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call took."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def figures(times: Sequence[float], limit: float) -> dict[str, float | str]:
    """Return p50, p99, the longest, and whether the promise was kept."""
    p99 = statistics.quantiles(times, n=100)[98]
    numbers = {"p50_ms": statistics.median(times), "p99_ms": p99, "max_ms": max(times)}
    kept = "kept" if p99 <= limit else "BROKEN"
    return {**{name: round(each, 1) for name, each in numbers.items()}, "promise": kept}


if __name__ == "__main__":
    main()
