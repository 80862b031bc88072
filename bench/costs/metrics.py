"""What the metrics cost: a dispatch and a job of ten steps, with them and without, in turn.

    make bench-metrics ARGS="--rounds 40 --json"

Both in one process on SQLite ledgers of their own, and on the ledger as the engine, so that no
broker's time hides what is measured. A few of the one and a few of the other are timed in turn,
in an order that changes, so that whatever else the machine does lengthens both alike; what is
taken is the processor time of the process with all its threads. A round ends with what a worker
and a dispatching process write: the differences of the round in one batch.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.report.bars import at_most
from bench.steps.failsoft_steps import STEPS, InProcess, Number, ten_steps
from failsoft.job_engine.measuring import Measures
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.wiring import build

#: The most that metrics may add, as a share of what it takes without them.
MOST = 0.02
#: How many turns a round has.
TURNS = 30
#: How many are timed together in a turn.
DISPATCHES, JOBS = 10, 2


class Nothing(Measures):
    """Counts nothing, so that there is nothing to write."""

    def count(self, series: Any, more: int = 1) -> None:
        """Count nothing."""

    def observe(self, series: Any, seconds: float) -> None:
        """Observe nothing."""

    def steps_of(self, job: str) -> Callable[[str, str], None]:
        """Return what counts no step."""
        return lambda kind, outcome: None


@dataclass(frozen=True)
class Work:
    """What is timed.

    Attributes:
        most: How many of it are a turn.
        turn: Does so many.
        write: Writes what was counted, once a round.
    """

    most: int
    turn: Callable[[], None]
    write: Callable[[], None]

    def round(self) -> None:
        """Do a whole round."""
        for _ in range(TURNS):
            self.turn()
        self.write()


@dataclass(frozen=True)
class Pairs:
    """Seconds without and with what is measured: of each turn, and of each round's end."""

    turns: Sequence[tuple[float, float]]
    writes: Sequence[tuple[float, float]]


def dispatching(stack: ExitStack, url: str, measures: Measures) -> Work:
    """Return dispatches, with what is written after them."""
    with closing(Database(url)) as database:
        upgrade(database)
    app = build(Settings(ledger_url=url, engines="ledger"), measures=measures)
    stack.callback(app.close)

    def turn() -> None:
        for number in range(DISPATCHES):
            app.dispatcher.dispatch(ten_steps, Number(number=number))

    return Work(DISPATCHES, turn, app.dispatcher.flush)


def stepping(url: str, measures: Measures) -> Work:
    """Return jobs, with what is written after them."""
    jobs = InProcess(url, measures)

    def turn() -> None:
        for number in range(JOBS):
            jobs.run(number)

    return Work(JOBS, turn, jobs.beat)


def seconds_of(work: Callable[[], None]) -> float:
    """Return the processor time that it takes this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def median_between(values: Sequence[float]) -> tuple[float, float, float]:
    """Return a median, and between what it is with a probability of 95 %: of any distribution."""
    ordered = sorted(values)
    reach = ceil(0.98 * sqrt(len(ordered)))
    middle = len(ordered) // 2
    low, high = max(0, middle - reach), min(len(ordered) - 1, middle + reach)
    return statistics.median(ordered), ordered[low], ordered[high]


def compared(name: str, most: int, pairs: Pairs) -> dict[str, Any]:
    """Return what one takes in microseconds, what is added, and between what that is (95 %).

    Args:
        name: What was timed.
        most: How many of it are a turn.
        pairs: What was timed.
    """
    write = statistics.median(less for less, _ in pairs.writes) / TURNS
    without = statistics.median(less for less, _ in pairs.turns) + write
    of_turns = median_between([more - less for less, more in pairs.turns])
    of_writes = median_between([more - less for less, more in pairs.writes])
    added, low, high = (turn + end / TURNS for turn, end in zip(of_turns, of_writes, strict=True))
    return {
        "name": name,
        "without_us": round(without / most * 1e6, 1),
        "with_us": round((without + added) / most * 1e6, 1),
        "added": round(added / without, 4),
        "between": [round(low / without, 4), round(high / without, 4)],
    }


def row(name: str, most: int, pairs: Pairs) -> dict[str, Any]:
    """Return what `compared` does, with the verdict about metrics."""
    found = compared(name, most, pairs)
    return found | at_most("", MOST, found["added"])


def pairs(without: Work, with_: Work, rounds: int) -> Pairs:
    """Time both in turn, the one or the other first."""
    without.round()
    with_.round()
    turns, writes = list[tuple[float, float]](), list[tuple[float, float]]()
    for number in range(rounds):
        for turn in range(TURNS):
            turns.append(_pair(without.turn, with_.turn, with_first=bool(turn % 2)))
        writes.append(_pair(without.write, with_.write, with_first=bool(number % 2)))
    return Pairs(turns, writes)


def _pair(
    without: Callable[[], None], with_: Callable[[], None], *, with_first: bool
) -> tuple[float, float]:
    if with_first:
        more, less = seconds_of(with_), seconds_of(without)
    else:
        less, more = seconds_of(without), seconds_of(with_)
    return less, more


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
    table = Table("", "without, µs", "with, µs", "added", "between (95 %)", "met", title="metrics")
    for each in found:
        low, high = each["between"]
        spread = f"{low:+.2%} to {high:+.2%}"
        figures = (f"{each['without_us']:g}", f"{each['with_us']:g}", f"{each['added']:+.2%}")
        table.add_row(each["name"], *figures, spread, f"{each['met']}")
    Console(stderr=arguments.json).print(table)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
