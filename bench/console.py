"""What a console reads of a ledger of many jobs, and how fast it acts on many of them.

    make console-scale                                      # both ledgers, 100,000 jobs
    make console-scale ROWS=1000000 ARGS="--ledger sqlite --json"

A list, a count or a story is the median of several calls. A list is read at its beginning and,
where it is long, behind the first half of its jobs. Nothing gathers statistics of the tables first.
"""

import argparse
import json
import secrets
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, time

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.full_ledger import AT_ONCE, add_due, fill
from bench.growth import LEDGERS, Row, databases, median_ms, row
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import BulkAction, BulkState, NewBulk
from failsoft.job_engine.ports.job_filter import JobFilter, as_json
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.timestamps import stored
from failsoft.ledger.upgrade.run import upgrade

EVIDENCE = Path(__file__).parent.parent / "docs" / "evidence" / "console.json"
#: What is to be reached: milliseconds of a look and of a transaction, jobs a second.
LOOK_MS, TURN_MS, CANCELS = 100.0, 100.0, 1_667.0
DUE = 20_000


def looks(ledger: SqlLedger, calls: int) -> Iterator[Row]:
    """Call everything that a page of a console calls."""
    newest = ledger.find({}, limit=1).items[0]
    half = newest.created_at - timedelta(days=15)
    failed: JobFilter = {"states": [JobState.FAILED]}
    filters: Mapping[str, JobFilter] = {
        "no filter": {},
        **{f"state {state}": {"states": [state]} for state in JobState},
        "all open states": {"states": [s for s in JobState if not s.is_terminal]},
        "queue of many": {"queue": "bulk"},
        "queue of few": {"queue": "rare"},
        "queue of none": {"queue": "none"},
        "name of few": {"name": "rare_job"},
        "name of none": {"name": "no_such_job"},
        "failed, name of few": {**failed, "name": "rare_job"},
        "failed, error type of none": {**failed, "error_type": "NoSuchError"},
        "engine of none": {"engine": "none"},
        "worker of none": {"worker": "none"},
        "tag of few": {"tag": "rare"},
        "key of none": {"key": "no-such-order"},
        "beginning of an id": {"id": newest.id[:6]},
        "payload, name, text of none": {"name": "send_mail_1", "payload": "no such text"},
        "until long ago": {"until": half},
    }
    for name, wanted in filters.items():
        yield _look(f"find: {name}", calls, partial(ledger.find, wanted))
    for name in ("no filter", "state failed", "queue of many"):
        wanted = filters[name]
        far = partial(ledger.find, wanted, _cursor_behind(wanted, half))
        yield _look(f"find: {name}, far behind", calls, far)
    for name in ("no filter", "state failed", "engine of none", "payload, name, text of none"):
        yield _look(f"count: {name}", calls, partial(ledger.count, filters[name]))
    yield _look("tally", calls, ledger.tally)
    yield _look("counts", calls, ledger.counts)
    yield _look("known names", calls, ledger.known)
    yield _look("story", calls, lambda: ledger.story(newest.id))
    yield _look("audit", calls, ledger.audits)
    yield _look("notices", calls, ledger.notices)
    yield _look("a minute's sample, written", 1, ledger.take_sample)


def _cursor_behind(wanted: JobFilter, moment: datetime) -> str:
    """Return the cursor of a page in the middle of a list."""
    return cursors.written(cursors.Place(stored(moment), "m"), as_json(wanted))


def _look(name: str, calls: int, call: Callable[[], object]) -> Row:
    figure, spread = median_ms(calls, call)
    return row(name, f"<= {LOOK_MS:g} ms", figure, spread, met=figure <= LOOK_MS)


def bulk(ledger: SqlLedger, jobs: int) -> Iterator[Row]:
    """Cancel all that waits."""
    new = NewBulk(secrets.token_hex(8), BulkAction.CANCEL, {}, jobs, "bench", "bench")
    state, took = ledger.bulk_start(new), list[float]()
    began = perf_counter()
    while state.state is BulkState.RUNNING:
        turn = perf_counter()
        state = ledger.bulk_turn(new.id)
        took.append((perf_counter() - turn) * 1000)
    rate = round(state.done / (perf_counter() - began))
    yield row(
        f"cancelled by a bulk of {state.done}, in a second",
        f">= {CANCELS:g}",
        rate,
        f"{len(took)} turns",
        met=rate >= CANCELS,
    )
    longest, middle = round(max(took), 1), statistics.median(took)
    yield row(
        "the longest turn of a bulk",
        f"<= {TURN_MS:g} ms",
        longest,
        f"p50 {middle:.1f}",
        met=longest <= TURN_MS,
    )


def measured(
    kind: str, rows: int, stack: ExitStack, console: Console, *, calls: int
) -> Iterator[Row]:
    """Fill a ledger with so many jobs, and measure it."""
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="failsoft-bench-")))
    _, full = (stack.enter_context(closing(each)) for each in databases(kind, folder, stack))
    upgrade(full)
    now = int(time() * 1_000_000)
    turns = range((rows + AT_ONCE - 1) // AT_ONCE)
    filling = fill(full, rows, now)
    for _ in track(turns, description=f"{kind}: {rows} jobs", console=console):
        next(filling)
    list(filling)
    add_due(full, DUE, now)
    _expect_no_statistics(full)
    ledger = SqlLedger(full)
    yield from looks(ledger, calls)
    yield from bulk(ledger, DUE)


def _expect_no_statistics(database: Database) -> None:
    """Turn the server's own gathering of statistics off, as far as it has any."""
    if not database.is_sqlite:
        off = "ALTER TABLE failsoft_jobs SET (autovacuum_enabled = off)"
        database.write(lambda c: c.exec_driver_sql(off))


def main() -> None:
    """Measure, print a table or figures, and write the evidence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=LEDGERS, help="both where it is left out")
    parser.add_argument("--rows", type=int, default=100_000, help="finished jobs")
    parser.add_argument("--calls", type=int, default=9, help="of each look")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    parser.add_argument("--no-evidence", action="store_true", help="write no evidence")
    given = parser.parse_args()
    console, figures = Console(stderr=given.json), []
    for kind in [given.ledger] if given.ledger else LEDGERS:
        with ExitStack() as stack:
            found = list(measured(kind, given.rows, stack, console, calls=given.calls))
        figures.append({"ledger": kind, "rows": given.rows, "found": found})
        if not given.json:
            _print(found, f"{given.rows} finished jobs, {kind}", console)
    if given.json:
        print(json.dumps(figures, indent=2))
    if not given.no_evidence:
        EVIDENCE.write_text(json.dumps(figures, indent=2) + "\n")


def _print(found: list[Row], title: str, console: Console) -> None:
    table = Table("", "target", "figure", "spread", "met", title=title)
    for each in found:
        verdict = "yes" if each["met"] else "[red]no[/]"
        table.add_row(each["name"], each["target"], f"{each['figure']:g}", each["spread"], verdict)
    console.print(table)


if __name__ == "__main__":
    main()
