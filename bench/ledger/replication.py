"""What a commit of the ledger waits for: its own disk, or a replica, in each mode.

    PYTHONPATH=. .venv/bin/python bench/ledger/replication.py            # a table
    PYTHONPATH=. .venv/bin/python bench/ledger/replication.py --count 500 --json

A real primary and a real replica on this machine, both with fsync: they share its disk, and the
round trip between them is none. One thread dispatches, so a dispatch is one commit; then jobs of
three steps run to their end in several threads, six commits each. The modes take turns, so that
whatever else the machine does falls on all of them.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.postgresql.postgres_pair import PostgresPair

#: Whether the replica is synchronous, and `synchronous_commit`.
MODES: Mapping[str, tuple[bool, str]] = {
    "asynchronous replica": (False, "on"),
    "synchronous, remote_write": (True, "remote_write"),
    "synchronous, on": (True, "on"),
    "synchronous, remote_apply": (True, "remote_apply"),
}
ROUNDS = 5
THREADS = 8
STEPS = 3


@dataclass
class Times:
    """What one mode took, in milliseconds, and how many jobs a second ended."""

    dispatches: list[float] = field(default_factory=list)
    jobs_a_second: list[float] = field(default_factory=list)

    def row(self) -> dict[str, float]:
        """Return the figures."""
        ordered = sorted(self.dispatches)
        return {
            "dispatch_p50_ms": round(statistics.median(ordered), 2),
            "dispatch_p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
            "jobs_a_second": round(statistics.median(self.jobs_a_second), 1),
        }


def dispatch(ledger: SqlLedger) -> float:
    """Record a job; return how long it took."""
    began = time.perf_counter()
    ledger.record_job(fixtures.new_job(), fixtures.plan())
    return (time.perf_counter() - began) * 1000


def run_one(ledger: SqlLedger) -> None:
    """Let a job go from its dispatch to its end."""
    claim = fixtures.started(ledger)
    for place in range(STEPS):
        ledger.begin(claim, f"step-{place}", place)
        ledger.record(claim, fixtures.step(f"step-{place}", place))
    ledger.conclude(claim, fixtures.SUCCESS)


def measure(ledger: SqlLedger, times: Times, count: int) -> None:
    """Measure one round of a mode."""
    times.dispatches += [dispatch(ledger) for _ in range(count)]
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda _: run_one(ledger), range(count)))
    times.jobs_a_second.append(count / (time.perf_counter() - began))


def measured(pair: PostgresPair, count: int, console: Console) -> dict[str, Times]:
    """Measure every mode, in turn."""
    pair.primary.create_database("bench")
    found = {name: Times() for name in MODES}
    with closing(Database(pair.primary.url("bench"))) as database:
        upgrade(database)
        ledger = SqlLedger(database, actor="bench")
        for _ in range(20):
            run_one(ledger)
        for _ in track(range(ROUNDS), description="rounds", console=console):
            for name, (synchronous, commit) in MODES.items():
                pair.synchronous(on=synchronous)
                pair.primary.set("synchronous_commit", commit)
                measure(ledger, found[name], count)
    return found


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="jobs in a round of a mode")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="failsoft-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        pair = PostgresPair(folder)
        try:
            pair.start()
            found = measured(pair, given.count, console)
        finally:
            pair.stop()
    rows = {name: times.row() for name, times in found.items()}
    if given.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("commit waits for", "dispatch p50", "p99", "jobs a second, 8 threads")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['dispatch_p50_ms']} ms",
            f"{row['dispatch_p99_ms']} ms",
            f"{row['jobs_a_second']}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
