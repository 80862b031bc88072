"""One engine: dispatching beside its own library, and what it runs beside the built-in engines.

    make bench ENGINE=kafka
    make bench ENGINE=nats ARGS="--ledger postgresql --json"

Dispatch: `dispatch_job` on the engine beside the raw producer's enqueue of the same library, on the
same server, one call of each in turn. Many: `dispatch_many` beside the library's own way of many.
Beside RQ: `dispatch_job` on RQ and on the engine in turn. Lane: jobs without steps that one worker
process runs in a second, of the engine and of Dramatiq on RabbitMQ in turn. Long: how long jobs
wait for their claim while a job that takes long runs in the same worker process; on Kafka its topic
has one partition. Floors: claims and ends a second where nothing else is done, by the threads of as
many slots and with the claims made together; and records a second that Kafka's client consumes.

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
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.dispatching.calls import interleaved
from bench.dispatching.raw_producers import RAW_PRODUCERS, RawProducer, Site
from bench.lanes.floors import consumed, ledger_alone
from bench.lanes.lane import (
    DRAMATIQ,
    STAYS,
    TIMES_DRAMATIQ,
    Payload,
    lanes,
    no_op,
    waits_beside_a_long_job,
)
from bench.report.bars import at_least, at_most
from bench.servers import database_url
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build

ROOT = Path(__file__).parents[2]
RQ = "rq"
KINDS = ("dispatch", "many", "rq", "lane", "long", "floors")

#: The most that the p50 of a dispatch may be, in times that of RQ.
TIMES_RQ: Mapping[str, float] = MappingProxyType({"kafka": 1.1})
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
    table = Table(
        "", "figures", title=f"{arguments.engine}, ledger {arguments.ledger}, load {load}"
    )
    for each in found:
        shown = ", ".join(
            f"{name} {value}" for name, value in each.items() if name not in ("what", "calls")
        )
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
    url = database_url(arguments.ledger, folder, stack)
    with closing(Database(url)) as database:
        upgrade(database)
    others = [each for each, kind in ((RQ, "rq"), (DRAMATIQ, "lane")) if kind in wanted]
    site = Site(folder, stack, url)
    producers = {each: RAW_PRODUCERS[each](site) for each in dict.fromkeys((engine, *others))}
    os.environ.update(environment(producers, url, folder))
    app = build(load_settings(_env_file=None), lambda _: None)
    stack.callback(app.close)
    bench = Bench(app, arguments, producers[engine], folder, console)
    rows = {
        # First those that run what they dispatch: the others leave their jobs behind.
        "floors": bench.floors,
        "lane": bench.lane,
        "long": bench.beside_a_long_job,
        "dispatch": bench.dispatch,
        "many": bench.many,
        "rq": bench.beside_rq,
    }
    yield from (row() for kind, row in rows.items() if kind in wanted)


def environment(
    producers: Mapping[str, RawProducer], ledger: str, folder: Path
) -> Mapping[str, str]:
    """Return the variables of this process and of the workers."""
    servers = {name: value for each in producers.values() for name, value in each.settings.items()}
    return {
        "FAILSOFT_LEDGER_URL": ledger,
        "FAILSOFT_ENGINES": ",".join(producers),
        "FAILSOFT_JOBS": "bench.lanes.lane",
        "FAILSOFT_PRUNE": "off",
        "FAILSOFT_KAFKA_PARTITIONS": "1",
        "PYTHONPATH": str(ROOT),
        STAYS: str(folder / "stays"),
        **servers,
    }


@dataclass(frozen=True)
class Bench:
    """The rows of one engine."""

    app: App
    arguments: argparse.Namespace
    raw: RawProducer
    folder: Path
    console: Console

    @property
    def engine(self) -> str:
        """The engine that is measured."""
        return str(self.arguments.engine)

    def dispatch(self) -> dict[str, Any]:
        """One by one, beside the library's own enqueue."""
        name, one = self.raw.one
        calls = {name: one, "dispatch_job": self._on(self.engine)}
        title = f"dispatch, {self.engine}"
        return interleaved(self.console, title, self.arguments.count, calls)

    def many(self) -> dict[str, Any]:
        """Many at once, beside the library's own way of many."""
        (name, raw), numbers = self.raw.many, range(self.arguments.many)
        payloads = [Payload(number=number) for number in numbers]

        def ours(_: int) -> None:
            outcomes = self.app.dispatcher.dispatch_many(no_op, payloads, engines=(self.engine,))
            if any(outcome.handle is None for outcome in outcomes):
                raise AssertionError("expected every job to be dispatched")

        calls: dict[str, Callable[[int], object]] = {name: lambda _: raw(numbers)}
        calls["dispatch_many"] = ours
        title = f"{self.arguments.many} at once, {self.engine}"
        return interleaved(self.console, title, self.arguments.rounds, calls)

    def beside_rq(self) -> dict[str, Any]:
        """One by one on each of two engines; RQ beside itself says what the ratio is worth."""
        calls = {"dispatch_job on RQ": self._on(RQ)}
        calls[f"dispatch_job on {self.engine}"] = self._on(self.engine)
        row = interleaved(self.console, f"{self.engine} beside RQ", self.arguments.count, calls)
        limit = TIMES_RQ.get(self.engine)
        return row if limit is None else row | at_most("ratio of p50", limit, row["p50"])

    def lane(self) -> dict[str, Any]:
        """What one worker process runs, beside one of Dramatiq's."""
        jobs, rounds = self.arguments.jobs, self.arguments.rounds
        engines = dict.fromkeys((self.engine, DRAMATIQ))
        medians = lanes(
            *(self.app, [*engines]),
            jobs=jobs,
            rounds=rounds,
            folder=self.folder,
            console=self.console,
        )
        row: dict[str, Any] = {"what": f"{jobs} jobs, jobs/s, median of {rounds}", **medians}
        row["ratio"] = round(medians[self.engine] / medians[DRAMATIQ], 2)
        least = TIMES_DRAMATIQ.get(self.engine)
        return row if least is None else row | at_least("ratio", least, row["ratio"])

    def floors(self) -> dict[str, Any]:
        """What no lane can be faster than."""
        url, jobs = os.environ["FAILSOFT_LEDGER_URL"], self.arguments.jobs
        found = {
            "claimed alone": ledger_alone(url, jobs, together=False),
            "claimed together": ledger_alone(url, jobs, together=True),
        }
        servers = self.raw.settings.get("FAILSOFT_KAFKA_SERVERS")
        if servers is not None:
            found["records consumed"] = consumed(servers, jobs)
        return {"what": f"floors, {jobs} jobs, of each a second", **found}

    def beside_a_long_job(self) -> dict[str, Any]:
        """How long jobs wait for their claim while another takes long."""
        count = self.arguments.beside
        waits = waits_beside_a_long_job(
            *(self.app, self.engine, count, self.folder), console=self.console
        )
        row = {"what": f"{count} jobs beside a long one, wait", **_milliseconds(waits)}
        longest = LONGEST_WAIT.get(self.engine)
        return row if longest is None else row | at_most("p99_ms", longest, row["p99_ms"])

    def _on(self, engine: str) -> Callable[[int], object]:
        return lambda number: self.app.dispatcher.dispatch(
            no_op, Payload(number=number), engines=(engine,)
        )


def _milliseconds(times: Sequence[float]) -> dict[str, Any]:
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(max(times), 1),
    }


if __name__ == "__main__":
    main()
