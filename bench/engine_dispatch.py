"""One engine: dispatching beside its own library, and what it runs beside the built-in engines.

    make bench ENGINE=kafka
    make bench ENGINE=nats ARGS="--ledger postgresql --json"

Dispatch: `dispatch_job` on the engine beside the raw producer's enqueue of the same library, on the
same server, one call of each in turn. Many: `dispatch_many` beside the library's own way of many.
Beside RQ: `dispatch_job` on RQ and on the engine in turn. Lane: jobs without steps that one worker
process runs in a second, of the engine and of Dramatiq on RabbitMQ in turn. Long: how long jobs
wait for their claim while a job that takes long runs in the same worker process; on Kafka its topic
has one partition.

Rows whose figures are bars of the engine carry the target and whether it was met. `--quick` does
each of `--only` a few times, to see that it runs.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.bars import at_least, at_most
from bench.dispatch import interleaved, ledger_url
from bench.lanes import STAYS, Payload, lanes, no_op, waits_beside_a_long_job
from bench.raw_producers import RAW_PRODUCERS, RawProducer, Site
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build

ROOT = Path(__file__).parents[1]
RQ, DRAMATIQ = "rq", "dramatiq"
KINDS = ("dispatch", "many", "rq", "lane", "long")

#: The most that the p50 of a dispatch may be, in times that of RQ.
TIMES_RQ: Mapping[str, float] = MappingProxyType({"kafka": 1.1})
#: The least that a worker process may run, in times that of Dramatiq.
TIMES_DRAMATIQ: Mapping[str, float] = MappingProxyType({"kafka": 2.0, "ledger": 1.0})
#: The most that a job may wait beside one that takes long, in milliseconds.
LONGEST_WAIT: Mapping[str, float] = MappingProxyType({"kafka": 1000.0})


def main() -> None:
    """Measure one engine."""
    arguments = parsed()
    console = Console(stderr=arguments.json)
    began = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        found = list(run(arguments, folder, console, stack))
    load = [round(each, 1) for each in (began, os.getloadavg()[0])]
    table = Table("", "figures", title=f"{arguments.engine}, ledger {arguments.ledger}, load {load}")
    for each in found:
        shown = ", ".join(f"{name} {value}" for name, value in each.items() if name != "what")
        table.add_row(each["what"], shown)
    console.print(table)
    if arguments.json:
        names = {"engine": arguments.engine, "ledger": arguments.ledger}
        print(json.dumps({**names, "load": load, "found": found}, indent=2))


def parsed() -> argparse.Namespace:
    """Return the arguments; those of a quick run are few of everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--engine", choices=sorted(RAW_PRODUCERS), required=True)
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--only", choices=KINDS, action="append", help="may be given again")
    parser.add_argument("--count", type=int, default=1000, help="calls of dispatch and of rq")
    parser.add_argument("--many", type=int, default=1000, help="payloads of a dispatch_many")
    parser.add_argument("--rounds", type=int, default=5, help="of many and of lane")
    parser.add_argument("--jobs", type=int, default=1000, help="of a lane, in each round")
    parser.add_argument("--beside", type=int, default=1000, help="jobs beside a long one")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    found = parser.parse_args()
    if found.quick:
        found.count = found.many = found.jobs = found.beside = 10
        found.rounds = 2
    return found


def run(
    arguments: argparse.Namespace, folder: Path, console: Console, stack: ExitStack
) -> Iterator[dict[str, Any]]:
    """Start the servers that are needed, and measure."""
    engine, wanted = arguments.engine, arguments.only or KINDS
    url = ledger_url(arguments.ledger, folder, stack)
    with closing(Database(url)) as database:
        upgrade(database)
    others = [
        each
        for each, kind in ((RQ, "rq"), (DRAMATIQ, "lane"))
        if kind in wanted and each != engine
    ]
    site = Site(folder, stack, url)
    producers = {each: RAW_PRODUCERS[each](site) for each in (engine, *others)}
    os.environ.update(environment(producers, url, folder))
    app = build(load_settings(_env_file=None), lambda _: None)
    stack.callback(app.close)
    rows: Mapping[str, Callable[[], dict[str, Any]]] = {
        "dispatch": partial(_dispatch, app, engine, producers[engine], arguments, console),
        "many": partial(_many, app, engine, producers[engine], arguments, console),
        "rq": partial(_beside_rq, app, engine, arguments, console),
        "lane": partial(_lane, app, engine, arguments, folder, console),
        "long": partial(_long, app, engine, arguments, folder, console),
    }
    for kind, row in rows.items():
        if kind in wanted and not (engine == RQ and kind == "rq"):
            yield row()


def environment(
    producers: Mapping[str, RawProducer], ledger: str, folder: Path
) -> Mapping[str, str]:
    """Return the variables of this process and of the workers."""
    servers = {name: value for each in producers.values() for name, value in each.settings.items()}
    return {
        "FAILSOFT_LEDGER_URL": ledger,
        "FAILSOFT_ENGINES": ",".join(producers),
        "FAILSOFT_JOBS": "bench.lanes",
        "FAILSOFT_PRUNE": "off",
        "FAILSOFT_KAFKA_PARTITIONS": "1",
        "PYTHONPATH": str(ROOT),
        STAYS: str(folder / "stays"),
        **servers,
    }


def _dispatch(
    app: App, engine: str, raw: RawProducer, arguments: argparse.Namespace, console: Console
) -> dict[str, Any]:
    name, one = raw.one
    calls = {name: one, "dispatch_job": _ours(app, engine)}
    return interleaved(console, f"dispatch, {engine}", arguments.count, calls)


def _many(
    app: App, engine: str, raw: RawProducer, arguments: argparse.Namespace, console: Console
) -> dict[str, Any]:
    (name, many), numbers = raw.many, range(arguments.many)
    payloads = [Payload(number=number) for number in numbers]

    def ours(_: int) -> None:
        outcomes = app.dispatcher.dispatch_many(no_op, payloads, engines=(engine,))
        if any(outcome.handle is None for outcome in outcomes):
            raise AssertionError("expected every job to be dispatched")

    calls: dict[str, Callable[[int], object]] = {name: lambda _: many(numbers)}
    calls["dispatch_many"] = ours
    return interleaved(console, f"{arguments.many} at once, {engine}", arguments.rounds, calls)


def _beside_rq(
    app: App, engine: str, arguments: argparse.Namespace, console: Console
) -> dict[str, Any]:
    calls = {f"dispatch_job on {each}": _ours(app, each) for each in (RQ, engine)}
    row = interleaved(console, f"{engine} beside RQ", arguments.count, calls)
    if engine not in TIMES_RQ:
        return row
    return row | at_most("ratio of p50", TIMES_RQ[engine], row["p50"])


def _lane(
    app: App, engine: str, arguments: argparse.Namespace, folder: Path, console: Console
) -> dict[str, Any]:
    jobs, rounds = arguments.jobs, arguments.rounds
    both = dict.fromkeys((engine, DRAMATIQ))
    medians = lanes(app, [*both], jobs=jobs, rounds=rounds, folder=folder, console=console)
    row: dict[str, Any] = {"what": f"{jobs} jobs, jobs/s, median of {rounds}", **medians}
    row["ratio"] = round(medians[engine] / medians[DRAMATIQ], 2)
    if engine not in TIMES_DRAMATIQ:
        return row
    return row | at_least("ratio", TIMES_DRAMATIQ[engine], row["ratio"])


def _long(
    app: App, engine: str, arguments: argparse.Namespace, folder: Path, console: Console
) -> dict[str, Any]:
    count = arguments.beside
    waits = waits_beside_a_long_job(app, engine, count, folder, console=console)
    row: dict[str, Any] = {"what": f"{count} jobs beside a long one, wait", **_milliseconds(waits)}
    if engine not in LONGEST_WAIT:
        return row
    return row | at_most("p99_ms", LONGEST_WAIT[engine], row["p99_ms"])


def _ours(app: App, engine: str) -> Callable[[int], object]:
    return lambda number: app.dispatcher.dispatch(
        no_op, Payload(number=number), engines=(engine,)
    )


def _milliseconds(times: Sequence[float]) -> Mapping[str, float]:
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(max(times), 1),
    }


if __name__ == "__main__":
    main()
