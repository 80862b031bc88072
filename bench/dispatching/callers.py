"""Callers that dispatch at the same time: threads, coroutines and processes, beside raw RQ.

    make bench-concurrent                                  # on SQLite
    make bench-concurrent ARGS="--ledger postgresql --count 2000 --json"

Each row is the jobs a second of all callers together, divided by those of as many callers of
`Queue.enqueue` in the same round. Coroutines of one loop stand beside threads that enqueue: RQ has
no coroutines. Exit status 1 where a target was missed.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from rich.progress import track
from rq import Queue

from bench.dispatching.calls import (
    Payload,
    bench_job,
    made,
    our_dispatcher,
    ours,
    raw_rq,
)
from bench.programs import LEDGERS
from bench.report.row import Row, at_least, plain
from bench.report.table import print_all, wide_console
from bench.servers import database_url
from failsoft.dispatcher import Dispatcher
from failsoft.queue.embedded_valkey import EmbeddedValkey

Call = Callable[[int], object]

THREADS, COROUTINES, PROCESSES = (1, 2, 4, 8, 16), (8, 64), (2, 4)
#: With how many threads the target is to be reached.
OF_TARGET = 8
WARM_UP = 20
NO_BROKER = "amqp://guest:guest@127.0.0.1:1/%2F"
#: How long a process may take to begin, in seconds.
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Where callers dispatch.

    Attributes:
        ledger: The URL of the ledger, upgraded.
        redis: The URL of Redis.
    """

    ledger: str
    redis: str

    def raw(self) -> Call:
        """Return a call of `Queue.enqueue`."""
        return raw_rq(Queue("raw", connection=Redis.from_url(self.redis)))

    def dispatcher(self) -> Dispatcher:
        """Return a dispatcher of this process; no broker stands behind the second engine."""
        return our_dispatcher(self.ledger, self.redis, NO_BROKER)


def of_threads(call: Call, callers: int, count: int) -> float:
    """Return the calls a second of some threads."""

    def work() -> None:
        for number in range(count // callers):
            call(number)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count // callers * callers / (time.perf_counter() - began)


def of_coroutines(dispatch: Callable[[int], Awaitable[object]], callers: int, count: int) -> float:
    """Return the dispatches a second of some coroutines of one loop."""

    async def work() -> None:
        for number in range(count // callers):
            await dispatch(number)

    async def together() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(callers)))
        return count // callers * callers / (time.perf_counter() - began)

    return asyncio.run(together())


def of_processes(servers: Servers, who: str, callers: int, count: int) -> float:
    """Return the calls a second of some processes of one thread each, from first to last."""
    context = multiprocessing.get_context("spawn")
    barrier, spans = context.Barrier(callers), context.SimpleQueue()
    each = count // callers
    processes = [
        context.Process(
            target=_call_in_a_process,
            args=(servers, who, each),
            kwargs={"barrier": barrier, "spans": spans},
        )
        for _ in range(callers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("expected every process to make its calls; see what it wrote above")
    found = [spans.get() for _ in processes]
    seconds: float = max(end for _, end in found) - min(begin for begin, _ in found)
    return each * callers / seconds


def _call_in_a_process(servers: Servers, who: str, each: int, *, barrier: Any, spans: Any) -> None:
    call = servers.raw() if who == "raw" else ours(servers.dispatcher())
    for number in range(WARM_UP):
        call(number)
    barrier.wait(START_SECONDS)
    began = time.monotonic()
    for number in range(each):
        call(number)
    spans.put((began, time.monotonic()))


def rows(servers: Servers, kind: str, count: int, rounds: int) -> Iterator[Row]:
    """Yield a row for each kind and number of callers."""
    with closing(servers.dispatcher()) as dispatcher:
        dispatch, raw = ours(dispatcher), servers.raw()

        def dispatch_async(number: int) -> Awaitable[object]:
            payload = Payload(user_id=number, email="ada@example.org")
            return dispatcher.dispatch_async(bench_job, payload)

        for number in range(WARM_UP):
            dispatch(number)
            raw(number)
        for callers in THREADS:
            pairs = [
                (of_threads(dispatch, callers, count), of_threads(raw, callers, count))
                for _ in range(rounds)
            ]
            yield _row(
                "1 thread" if callers == 1 else f"{callers} threads",
                pairs,
                kind,
                is_target=callers == OF_TARGET,
            )
        for callers in COROUTINES:
            pairs = [
                (of_coroutines(dispatch_async, callers, count), of_threads(raw, OF_TARGET, count))
                for _ in range(rounds)
            ]
            yield _row(f"{callers} coroutines beside {OF_TARGET} threads", pairs, kind)
    for callers in PROCESSES:
        pairs = [
            (
                of_processes(servers, "ours", callers, count),
                of_processes(servers, "raw", callers, count),
            )
            for _ in range(rounds)
        ]
        yield _row(f"{callers} processes", pairs, kind)


def _row(
    who: str, pairs: Sequence[tuple[float, float]], kind: str, *, is_target: bool = False
) -> Row:
    ratios = [ours_rate / raw_rate for ours_rate, raw_rate in pairs]
    details = {
        "dispatches_per_s": round(statistics.median(pair[0] for pair in pairs)),
        "enqueues_per_s": round(statistics.median(pair[1] for pair in pairs)),
    }
    name = f"{who}, dispatches / enqueues"
    if is_target:
        return at_least(name, 1.0, ratios, ledger=kind, details=details)
    return plain(name, ratios, ledger=kind, details=details)


def main() -> int:
    """Start the servers, print every row, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=LEDGERS, default="sqlite")
    parser.add_argument("--count", type=int, default=1600, help="calls of all callers together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        valkey = stack.enter_context(EmbeddedValkey(made(folder / "valkey")))
        servers = Servers(database_url(arguments.ledger, folder, stack), valkey.url)
        all_rows = rows(servers, arguments.ledger, arguments.count, arguments.rounds)
        total = len(THREADS) + len(COROUTINES) + len(PROCESSES)
        console = wide_console(stderr=True)
        found = list(track(all_rows, "callers", total=total, console=console, transient=True))
    document = {"ledger": arguments.ledger, "rows": [each.as_dict() for each in found]}
    if arguments.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print_all(document, wide_console())
    return 1 if any(each.met is False for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
