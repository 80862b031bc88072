"""What a console reads of a ledger of many jobs, and how fast it acts on many of them.

    make console-scale                                      # both ledgers, 100,000 jobs
    make console-scale ROWS=1000000 ARGS="--ledger sqlite --only screens"

Every read and every screen is called several times: the figures are the median and the longest of
nineteen in twenty calls, and the median of the processor time that this process and the server took
for one, to which other programs of the machine add nothing. A screen is a request to the console's
own application, from its login to the last byte of the page. A list is read at its beginning and
behind the first half of its jobs. Nothing gathers statistics of the tables first; PostgreSQL has
vacuumed them once, as its autovacuum does many times until they have so many rows.
"""

import argparse
import gc
import json
import os
import secrets
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time_ns, time
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from bench.console.screens import play, screens
from bench.ledger.full_ledger import AT_ONCE, add_due, fill, vacuum
from bench.ledger.growth import LEDGERS
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import BulkAction, BulkState, NewBulk
from failsoft.job_engine.ports.job_filter import JobFilter, as_json
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.timestamps import stored
from failsoft.ledger.upgrade.run import upgrade
from tests.servers.postgresql.postgres import Postgres

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "console.json"
PARTS = ("reads", "screens", "bulk")
#: What is to be reached: milliseconds of a read or a screen, and of a transaction of a bulk; how
#: many jobs a bulk cancels in a second.
P50_MS, P95_MS, TURN_MS, CANCELS = 100.0, 250.0, 100.0, 1_667.0
#: So many jobs are due while the ledger is read.
DUE = 20_000
SCENE = "scene.json"

Figures = dict[str, Any]


def reads(ledger: SqlLedger) -> Mapping[str, Callable[[], object]]:
    """Return everything that a page of a console calls, by names."""
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
    behind = ("no filter", "state failed", "queue of many")
    counted = ("no filter", "state failed", "engine of none", "payload, name, text of none")
    return {
        **{f"find: {name}": partial(ledger.find, wanted) for name, wanted in filters.items()},
        **{
            f"find: {name}, far behind": partial(
                ledger.find, filters[name], _cursor_behind(filters[name], half)
            )
            for name in behind
        },
        **{f"count: {name}": partial(ledger.count, filters[name]) for name in counted},
        "tally": ledger.tally,
        "counts": ledger.counts,
        "known names": ledger.known,
        "story": partial(ledger.story, newest.id),
        "audit": ledger.audits,
        "notices": ledger.notices,
        "groups": ledger.groups,
        "chains": ledger.chains,
    }


def _cursor_behind(wanted: JobFilter, moment: datetime) -> str:
    """Return the cursor of a page in the middle of a list."""
    return cursors.written(cursors.Place(stored(moment), "m"), as_json(wanted))


class Processor:
    """How much processor time this process has taken, and the server that it started."""

    def __init__(self, server: Postgres | None) -> None:
        self._server = None if server is None else psutil.Process(_pid(server))

    def begin(self) -> tuple[int, int]:
        """Return what they have taken before a call."""
        # To look at the server takes time of this process, which is none of the call's.
        of_server = _time_ns(self._server)
        return of_server, process_time_ns()

    def ms(self, before: tuple[int, int]) -> float:
        """Return the milliseconds that a call has taken since `begin`."""
        own = process_time_ns() - before[1]
        return (own + _time_ns(self._server) - before[0]) / 1e6


def _pid(server: Postgres) -> int:
    if server.process is None:
        raise ValueError("expected a server that runs, got one that does not")
    return server.process.pid


def _time_ns(server: psutil.Process | None) -> int:
    """Return the processor time of a server and its sessions, in nanoseconds; 0 for none."""
    each = [] if server is None else [server, *server.children()]
    taken = 0
    for process in each:
        with suppress(FileNotFoundError, ProcessLookupError):
            taken += int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0])
    return taken


def timed(
    calls: Mapping[str, Callable[[], object]], times: int, processor: Processor, console: Console
) -> list[Figures]:
    """Call everything several times, after a first time that is not counted."""
    found = []
    for name, call in track(calls.items(), "calls", console=console, transient=True):
        call()
        took, busy = [], []
        for _ in range(times):
            before, began = processor.begin(), perf_counter()
            call()
            took.append((perf_counter() - began) * 1000)
            busy.append(processor.ms(before))
        p50, p95 = statistics.median(took), statistics.quantiles(took, n=20, method="inclusive")[-1]
        found.append(
            {
                "name": name,
                "p50_ms": round(p50, 1),
                "p95_ms": round(p95, 1),
                "processor_ms": round(statistics.median(busy), 1),
                "met": p50 <= P50_MS and p95 <= P95_MS,
            }
        )
    return found


def bulk(ledger: SqlLedger, jobs: int, processor: Processor, console: Console) -> Figures:
    """Cancel all that waits; return how fast that was, and how long others waited for a turn."""
    new = NewBulk(secrets.token_hex(8), BulkAction.CANCEL, {}, jobs, "bench", "bench")
    state, took, busy = ledger.bulk_start(new), list[float](), list[float]()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("a bulk", total=jobs)
        began = perf_counter()
        while state.state is BulkState.RUNNING:
            before, turn = processor.begin(), perf_counter()
            state = ledger.bulk_turn(new.id)
            took.append((perf_counter() - turn) * 1000)
            busy.append(processor.ms(before))
            progress.update(task, completed=state.done)
        seconds = perf_counter() - began
    rate, longest = state.done / seconds, max(took)
    return {
        "cancelled": state.done,
        "seconds": round(seconds, 1),
        "a_second": round(rate),
        "turns": len(took),
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(statistics.quantiles(took, n=100, method="inclusive")[-1], 1),
        "longest_ms": round(longest, 1),
        "processor_seconds": round(sum(busy) / 1000, 1),
        "longest_processor_ms": round(max(busy), 1),
        "met": rate >= CANCELS and longest <= TURN_MS,
    }


@dataclass(frozen=True, slots=True)
class Place:
    """Where a full ledger is kept.

    Attributes:
        kind: `sqlite` or `postgresql`.
        rows: How many finished jobs it has.
        folder: Beside which others.
    """

    kind: str
    rows: int
    folder: Path

    @property
    def kept(self) -> Path:
        """Where it is once it is full, and as it was."""
        return self.folder / f"{self.kind}-{self.rows}"

    @property
    def used(self) -> Path:
        """Where it is filled, and what a bulk has changed."""
        return self.folder / f"{self.kind}-{self.rows}.used"

    def keep(self) -> None:
        """Let another run take it."""
        if self.used.exists():
            self.used.rename(self.kept)


@dataclass(frozen=True, slots=True)
class Opened:
    """A full ledger.

    Attributes:
        database: Its database.
        scene: The file of what else happened there.
        processor: What its calls take is read from this.
    """

    database: Database
    scene: Path
    processor: Processor


def opened(place: Place, stack: ExitStack, console: Console) -> Opened:
    """Return a full ledger; one that a run before has left is taken."""
    is_new = not place.kept.exists()
    at = place.used if is_new else place.kept
    if is_new:
        # What a run has left that was cut off.
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir(parents=True)
    url, server = _url(place, at, stack, is_new=is_new)
    if is_new:
        # Counting what was written is one statement, and a long one.
        with closing(Database(url, limit=timedelta(minutes=10))) as patient:
            _fill(place, patient, console)
    database = stack.enter_context(closing(Database(url)))
    if not (at / SCENE).exists():
        play(SqlLedger(database), at / SCENE)
    return Opened(database, at / SCENE, Processor(server))


def _url(place: Place, at: Path, stack: ExitStack, *, is_new: bool) -> tuple[str, Postgres | None]:
    if place.kind == "sqlite":
        return f"sqlite:///{at / 'ledger.db'}", None
    for each in (place.folder, at):
        each.chmod(0o755)
    server = Postgres(at / "postgres")
    server.start()
    stack.callback(server.stop)
    return server.create_database("full") if is_new else server.url("full"), server


def _fill(place: Place, database: Database, console: Console) -> None:
    upgrade(database)
    if not database.is_sqlite:
        # The server's own gathering of statistics would begin within a minute.
        off = "ALTER TABLE failsoft_jobs SET (autovacuum_enabled = off)"
        database.write(lambda c: c.exec_driver_sql(off))
    now = int(time() * 1_000_000)
    turns = range((place.rows + AT_ONCE - 1) // AT_ONCE)
    filling = fill(database, place.rows, now)
    said = f"{place.kind}: {place.rows:,} jobs"
    for _ in track(turns, description=said, console=console):
        next(filling)
    list(filling)
    add_due(database, DUE, now)
    if not database.is_sqlite:
        # Without statistics: nothing may depend on them.
        vacuum(database)


def measured(
    full: Opened, parts: Sequence[str], console: Console, *, calls: int, cancels: int
) -> Iterator[tuple[str, Any]]:
    """Measure the parts in turn."""
    ledger = SqlLedger(full.database)
    # As the console's own process does before it serves.
    gc.collect()
    gc.freeze()
    if "reads" in parts:
        yield "reads", timed(reads(ledger), calls, full.processor, console)
    if "screens" in parts:
        with screens(full.database, full.scene) as found:
            yield "screens", timed(found, calls, full.processor, console)
    if "bulk" in parts:
        add_due(full.database, cancels - DUE, int(time() * 1_000_000), first=DUE + 1)
        yield "bulk", bulk(ledger, cancels, full.processor, console)


def main() -> None:
    """Measure, print tables or figures, and write the evidence."""
    given = _arguments()
    console, figures = Console(stderr=given.json), dict[str, Figures]()
    parts = () if given.fill else given.only or PARTS
    for kind in [given.ledger] if given.ledger else LEDGERS:
        with ExitStack() as stack:
            temporary = TemporaryDirectory(prefix="failsoft-bench-")
            folder = given.folder or Path(stack.enter_context(temporary))
            place = Place(kind, given.rows, folder)
            full = opened(place, stack, console)
            counts = {"calls": given.calls, "cancels": given.cancels}
            figures[kind] = dict(measured(full, parts, console, **counts))
        if given.folder and "bulk" not in parts:
            place.keep()
        figures[kind] |= {"rows": given.rows, "load": round(os.getloadavg()[0], 1)}
        if not given.json:
            _print(kind, figures[kind], console)
    if given.json:
        print(json.dumps(figures, indent=2))
    if not (given.no_evidence or given.fill):
        _write(figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=LEDGERS, help="both where it is left out")
    parser.add_argument("--rows", type=int, default=100_000, help="finished jobs")
    parser.add_argument("--only", choices=PARTS, action="append", help="all where it is left out")
    parser.add_argument("--calls", type=int, default=20, help="of each read and each screen")
    parser.add_argument("--cancels", type=int, default=DUE, help="jobs that a bulk cancels")
    parser.add_argument("--folder", type=Path, help="keeps the full ledgers for other runs")
    parser.add_argument("--fill", action="store_true", help="fill them, and measure nothing")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    parser.add_argument("--no-evidence", action="store_true", help="write no evidence")
    return parser.parse_args()


def _write(figures: Mapping[str, Figures]) -> None:
    """Put the figures in the place of those of the same ledger and the same part."""
    kept = json.loads(EVIDENCE.read_text()) if EVIDENCE.exists() else {}
    for kind, found in figures.items():
        before = kept.get(kind, {})
        kept[kind] = {**(before if before.get("rows") == found["rows"] else {}), **found}
    EVIDENCE.write_text(json.dumps(kept, indent=2) + "\n")


def _print(kind: str, figures: Figures, console: Console) -> None:
    for part in ("reads", "screens"):
        if part not in figures:
            continue
        title = f"{part} of {figures['rows']:,} finished jobs, {kind}"
        table = Table("", "p50 ms", "p95 ms", "processor ms", "met", title=title)
        for each in figures[part]:
            verdict = "yes" if each["met"] else "[red]no[/]"
            figures_of = (f"{each[name]:g}" for name in ("p50_ms", "p95_ms", "processor_ms"))
            table.add_row(each["name"], *figures_of, verdict)
        console.print(table)
    if "bulk" in figures:
        console.print(f"a bulk on {kind}: {json.dumps(figures['bulk'])}")


if __name__ == "__main__":
    main()
