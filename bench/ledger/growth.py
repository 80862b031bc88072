"""What a ledger of a million finished jobs costs: dispatches and ends, lists, counts, pruning.

    make bench-growth                                       # both ledgers, 1,000,000 jobs
    make bench-growth ARGS="--rows 100000 --ledger sqlite --json"

Dispatch, claim and end are measured in turn on an empty ledger and on the full one, as a ratio of
the medians of each round. A list or a count is the median of several. Another writer's wait is how
long a transaction of pruning keeps the turn to write, from its beginning until it is committed.
"""

import argparse
import json
import secrets
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, time
from typing import Any

from rich.console import Console
from rich.progress import track

from bench.ledger.full_ledger import AT_ONCE, add_due, fill, settle
from bench.report.row import Row, at_least, at_most
from bench.report.table import targets, wide_console
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.job import Conclusion, Ticket
from failsoft.job_engine.records.manual_retry import DeadLetters
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import SUCCEED, JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import SqlPruner
from failsoft.worker.doctor.worker_checks import open_pinned, waiting_names
from tests.servers.postgresql.postgres import Postgres

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "bench"
LEDGERS = ("sqlite", "postgresql")
MINUTE = timedelta(minutes=1)
#: What is to be reached: a ratio, milliseconds, jobs a second, bytes.
RATIO, LIST_MS, PASS_MS, PRUNE_RATE, LOCK_MS, JOB_BYTES = 1.2, 20.0, 50.0, 10_000.0, 50.0, 1_024.0
DUE, PASS = 20_000, 100


def beside_empty(empty: SqlLedger, full: SqlLedger, rounds: int, calls: int) -> Iterator[Row]:
    """Dispatch, claim and end jobs on both ledgers, a call of each in turn."""
    _medians(empty, full, 20)
    found = [_medians(empty, full, calls) for _ in range(rounds)]
    for place, name in enumerate(("dispatch", "claim", "end")):
        ratios = [there[place] / here[place] for here, there in found]
        yield at_most(f"{name}, beside an empty ledger", RATIO, ratios)


def _medians(empty: SqlLedger, full: SqlLedger, calls: int) -> list[list[float]]:
    took = [(_one_job(empty), _one_job(full)) for _ in range(calls)]
    empties, fulls = zip(*took, strict=True)
    return [[statistics.median(each) for each in zip(*of, strict=True)] for of in (empties, fulls)]


def _one_job(ledger: SqlLedger) -> tuple[float, float, float]:
    job = NewJob(
        f"{int(time() * 1000):012x}{secrets.token_hex(10)}",
        *("send_mail_1", "default", '{"user_id":7,"email":"ada@example.org"}'),
        secrets.token_hex(32),
    )
    moments = [perf_counter()]
    record, _ = ledger.record_job(job, OfferPlan("rq", MINUTE, "the first engine of its queue"))
    moments.append(perf_counter())
    ticket = Ticket(
        *(record.id, record.epoch, "rq", record.queue),
        *(secrets.token_hex(16), "9f1c2b7a4d5e6f70", MINUTE),
    )
    claim = ledger.claim(ticket)
    moments.append(perf_counter())
    if claim is None:
        raise AssertionError("expected the offer to be claimed")
    ledger.conclude(claim, Conclusion(SUCCEED, result="null"))
    moments.append(perf_counter())
    first, second, third = (b - a for a, b in pairwise(moments))
    return first, second, third


def lists_and_counts(ledger: SqlLedger, database: Database, calls: int) -> Iterator[Row]:
    """Call every list and count of the command line."""
    since = ledger.list_jobs(limit=1)[0].created_at - timedelta(days=20)
    rare, failed = {"name": "rare_job"}, {"states": [JobState.FAILED]}
    filters: Mapping[str, dict[str, Any]] = {
        "newest": {},
        **{f"--state {state}": {"states": [state]} for state in JobState},
        "--state of all that are open": {
            "states": [s for s in JobState if not s.is_terminal],
        },
        "--name of many": {"name": "send_mail_1"},
        "--name of few": rare,
        "--name of none": {"name": "no_such_job"},
        "--queue of many": {"queue": "bulk"},
        "--queue of few": {"queue": "rare"},
        "--queue of none": {"queue": "none"},
        "--name and --queue of few": rare | {"queue": "bulk"},
        "--state failed --name of few": failed | rare,
        "--state failed --queue of few": failed | {"queue": "rare"},
        "--key": {"key": "order-500001"},
        "--key of none": {"key": "no-such-order"},
        "--tag of many": {"tag": "eu"},
        "--tag of few": {"tag": "rare"},
        "--until long ago": {"until": since},
        "--since, --name of few": rare | {"since": since},
    }
    for name, wanted in filters.items():
        yield _list(f"list {name}", calls, lambda wanted=wanted: ledger.list_jobs(**wanted))
    yield _list("dead letters", calls, lambda: ledger.dead_letters(DeadLetters(limit=50)))
    yield _list("count by state", calls, ledger.counts)
    yield _list("count of an engine", calls, lambda: ledger.engine_load("rq"))
    yield _list("names of ended jobs", calls, SqlPruner(database).ended_names)
    yield _list("waiting jobs by name", calls, lambda: waiting_names(database))
    yield _list("open jobs of some engines", calls, lambda: open_pinned(database))


def _list(name: str, calls: int, call: Callable[[], object]) -> Row:
    return at_most(name, LIST_MS, each_ms(calls, call), "ms")


def each_ms(calls: int, call: Callable[[], object]) -> list[float]:
    """Return how many milliseconds each of several calls takes, after one that does not count."""
    call()
    took = []
    for _ in range(calls):
        began = perf_counter()
        call()
        took.append((perf_counter() - began) * 1000)
    return took


def scheduler_pass(ledger: SqlLedger, calls: int) -> Row:
    """Look for what is due as a scheduler does."""
    reach = Reach(frozenset({"rq", "dramatiq"}))
    found = ledger.due(PASS, reach)
    if len(found) != PASS:
        raise AssertionError(f"expected {PASS} due jobs, got {len(found)}")
    took = each_ms(calls, lambda: ledger.due(PASS, reach))
    return at_most(f"a scheduler's look with {DUE} due", PASS_MS, took, "ms")


def prune(database: Database, most: int, step: Callable[[int], object]) -> Iterator[Row]:
    """Prune up to so many jobs, and time each transaction."""
    pruner, held = SqlPruner(database), list[float]()
    original, retention = database.write, Retention(age=timedelta(days=1))

    def timed(work: Callable[[Any], Any], *args: Any, **kwargs: Any) -> Any:
        begun_at = [0.0]

        def measured(connection: Any) -> Any:
            begun_at[0] = perf_counter()
            return work(connection)

        result = original(measured, *args, **kwargs)
        held.append((perf_counter() - begun_at[0]) * 1000)
        return result

    database.write = timed  # type: ignore[method-assign]
    began, deleted = perf_counter(), 0
    for name in pruner.ended_names():
        while deleted < most and (gone := pruner.prune(name, JobState.SUCCEEDED, retention, 500)):
            deleted += gone
            step(gone)
        if deleted >= most:
            break
    took = perf_counter() - began
    del database.write
    details = {"transactions": len(held)}
    name = f"pruning {deleted} jobs"
    yield at_least(name, PRUNE_RATE, [deleted / took], "jobs/s", details=details)
    p50, p99 = statistics.median(held), sorted(held)[int(len(held) * 0.99)]
    yield at_most(
        "the longest wait for a transaction of pruning",
        *(LOCK_MS, [max(held)], "ms"),
        details={"p50": round(p50, 1), "p99": round(p99, 1)},
    )


def growth(
    kind: str, rows: int, stack: ExitStack, console: Console, *, calls: int = 9
) -> Iterator[Row]:
    """Fill a ledger with so many jobs, and measure it."""
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="failsoft-bench-")))
    empty, full = (stack.enter_context(closing(each)) for each in databases(kind, folder, stack))
    for each in (empty, full):
        upgrade(each)
    now = int(time() * 1_000_000)
    before = settle(full)
    turns = range((rows + AT_ONCE - 1) // AT_ONCE)
    filling = fill(full, rows, now)
    for _ in track(turns, description=f"{kind}: {rows} jobs", console=console):
        next(filling)
    list(filling)
    each_job = round((settle(full) - before) / rows)
    ledger = SqlLedger(full)
    yield at_most("a finished job", JOB_BYTES, [each_job], "bytes")
    yield from beside_empty(SqlLedger(empty), ledger, 5, calls * 12)
    add_due(full, DUE, now)
    if not full.is_sqlite:
        settle(full)
    yield from lists_and_counts(ledger, full, calls)
    yield scheduler_pass(ledger, calls)
    yield from prune(full, min(rows // 2, 100_000), lambda _: None)


def databases(kind: str, folder: Path, stack: ExitStack) -> Iterator[Database]:
    """Make two databases on SQLite, or on a PostgreSQL that ends with the stack."""
    if kind == "sqlite":
        yield from (Database(f"sqlite:///{folder / name}.db") for name in ("empty", "full"))
        return
    folder.chmod(0o755)
    server = Postgres(folder / "postgres")
    server.start()
    stack.callback(server.stop)
    yield from (Database(server.create_database(name)) for name in ("empty", "full"))


def main() -> None:
    """Measure, print a table or figures, and write the evidence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=LEDGERS, help="both where it is left out")
    parser.add_argument("--rows", type=int, default=1_000_000, help="finished jobs")
    parser.add_argument("--calls", type=int, default=9, help="of each list")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    parser.add_argument("--no-evidence", action="store_true", help="write no evidence")
    given = parser.parse_args()
    console = wide_console(stderr=given.json)
    for kind in [given.ledger] if given.ledger else LEDGERS:
        with ExitStack() as stack:
            rows = growth(kind, given.rows, stack, console, calls=given.calls)
            found = [replace(each, ledger=kind) for each in rows]
        figures = {"ledger": kind, "rows": given.rows, "found": [each.as_dict() for each in found]}
        if given.json:
            print(json.dumps(figures, indent=2))
        else:
            console.print(f"{given.rows:,} finished jobs")
            console.print(targets(found))
        if not given.no_evidence:
            text = json.dumps(figures, indent=2) + "\n"
            (EVIDENCE / f"growth-{kind}.json").write_text(text)


if __name__ == "__main__":
    main()
