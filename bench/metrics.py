"""What the metrics cost: a dispatch and a job of ten steps, with them and without, in turn.

    make bench-metrics ARGS="--rounds 40 --json"

Both in one process on SQLite ledgers of their own, and on the ledger as the engine, so that no
broker's time hides what is measured. A round is so many of each, in an order that changes; what is
taken is the processor time of the process with all its threads, which another program on the
machine lengthens least. Written is what a worker and a dispatching process write: the differences
of a round in one batch.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.bars import at_most
from bench.failsoft_steps import STEPS, InProcess, Number, ten_steps
from failsoft.job_engine.measuring import Measures
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.wiring import build

#: The most that metrics may add, as a share of what it takes without them.
MOST = 0.02
#: How many of a round are timed.
DISPATCHES, JOBS = 300, 60


class Nothing(Measures):
    """Counts nothing, so that there is nothing to write."""

    def count(self, series: Any, more: int = 1) -> None:
        """Count nothing."""

    def observe(self, series: Any, seconds: float) -> None:
        """Observe nothing."""

    def steps_of(self, job: str) -> Callable[[str, str], None]:
        """Return what counts no step."""
        return lambda kind, outcome: None


def dispatching(stack: ExitStack, url: str, measures: Measures) -> Callable[[], None]:
    """Return a round of dispatches, with what is written after them."""
    with closing(Database(url)) as database:
        upgrade(database)
    app = build(Settings(ledger_url=url, engines="ledger"), measures=measures)
    stack.callback(app.close)

    def work() -> None:
        for number in range(DISPATCHES):
            app.dispatcher.dispatch(ten_steps, Number(number=number))
        app.dispatcher.flush()

    return work


def stepping(url: str, measures: Measures) -> Callable[[], None]:
    """Return a round of jobs, with what is written after them."""
    jobs = InProcess(url, measures)

    def work() -> None:
        for number in range(JOBS):
            jobs.run(number)
        jobs.beat()

    return work


def seconds_of(work: Callable[[], None]) -> float:
    """Return the processor time that a round takes this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def compared(name: str, most: int, rounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return the medians of both in microseconds, and the median of what is added with its spread.

    Args:
        name: What was timed.
        most: How many of it are a round.
        rounds: The seconds without and with what is measured.
    """
    shares = sorted(more / less - 1 for less, more in rounds)
    quarter = len(shares) // 4
    added = statistics.median(shares)
    return {
        "name": name,
        "without_us": round(statistics.median(less for less, _ in rounds) / most * 1e6, 1),
        "with_us": round(statistics.median(more for _, more in rounds) / most * 1e6, 1),
        "added": round(added, 4),
        "quartiles": [round(shares[quarter], 4), round(shares[-1 - quarter], 4)],
    }


def row(name: str, most: int, rounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return what `compared` does, with the verdict about metrics."""
    found = compared(name, most, rounds)
    return found | at_most("", MOST, found["added"])


def pairs(
    without: Callable[[], None], with_: Callable[[], None], rounds: int
) -> list[tuple[float, float]]:
    """Time both in each round, the one or the other first."""
    without()
    with_()
    found = list[tuple[float, float]]()
    for number in range(rounds):
        if number % 2:
            more, less = seconds_of(with_), seconds_of(without)
        else:
            less, more = seconds_of(without), seconds_of(with_)
        found.append((less, more))
    return found


def main() -> None:
    """Measure, and print a table or figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40, help="of each pair")
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    arguments = parser.parse_args()
    os.environ["FAILSOFT_LOG_LEVEL"] = "WARNING"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = (f"sqlite:///{folder}/{name}.db" for name in "abcd")
        both = Nothing(), Measures()
        dispatches = [dispatching(stack, next(urls), each) for each in both]
        jobs = [stepping(next(urls), each) for each in (Nothing(), Measures())]
        found = [
            row("a dispatch", DISPATCHES, pairs(*dispatches, arguments.rounds)),
            row(f"a job of {STEPS} steps", JOBS, pairs(*jobs, arguments.rounds)),
        ]
    table = Table("", "without, µs", "with, µs", "added", "quartiles", "met", title="metrics")
    for each in found:
        low, high = each["quartiles"]
        spread = f"{low:+.2%} to {high:+.2%}"
        figures = (f"{each['without_us']:g}", f"{each['with_us']:g}", f"{each['added']:+.2%}")
        table.add_row(each["name"], *figures, spread, f"{each['met']}")
    Console(stderr=arguments.json).print(table)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
