"""`failsoft ledger verify`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import partial
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.values.redaction import redacted_url
from failsoft.ledger import SqlLedger, check
from failsoft.ledger import verify as checks
from failsoft.ledger.verify import Checked
from failsoft.worker.cli.jobs.selection import find_id
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import console, counted, print_json, show
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.doctor.missing_jobs import LOST_REMEDY, REMEDY, Wholeness, look_at_wholeness
from failsoft.worker.engine_sites import release_engines
from failsoft.worker.exit_codes import FAILURE, OK
from failsoft.worker.ledger_access import open_database


@dataclass(slots=True)
class _Report:
    jobs: int = 0
    events: int = 0
    seconds: float = 0.0
    violations: int = 0
    by_invariant: Counter[str] = field(default_factory=Counter)
    listed: list[Violation] = field(default_factory=list)

    def add(self, checked: Checked, most: int) -> None:
        self.jobs += checked.jobs
        self.events += checked.events
        self.violations += len(checked.violations)
        self.by_invariant.update(violation.invariant for violation in checked.violations)
        self.listed += checked.violations[: max(0, most - len(self.listed))]


@click.command()
@click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many violations to list; all are counted.",
)
@click.option("--job", "job_id", metavar="ID", help="Check the history of this job alone.")
@json_option
def verify(*, limit: int, job_id: str | None, as_json: bool) -> None:
    """Check every job against the invariants: its history, and those of related jobs.

    These are the links of its chain, the jobs of its group, the jobs that invoked or triggered it,
    the events that it waits for, and its schedule, as far as they were not pruned.

    Reads one snapshot of the ledger and changes nothing; the workers need not stop. Then it looks
    for what the ledger does not contain: processes of this host that write to a file which is not
    this ledger's any more, and messages in the engines' queues whose job is missing. Ends with 0
    if every promise was kept, with 1 if any was broken: each violation names the job (or the
    group, or the schedule), the invariant, the rule and the events.
    """
    settings = load_settings()
    click.get_current_context().call_on_close(partial(release_engines, settings))
    with closing(open_database(settings)) as database:
        check(database)
        if job_id is not None:
            batches = checks.verify_job(database, find_id(SqlLedger(database), job_id))
            report, whole = _verified(batches, 1, limit), Wholeness()
        else:
            report = _verified(checks.verify(database), checks.count_jobs(database), limit)
            whole = look_at_wholeness(settings, database)
    is_sound = not report.violations and whole.is_whole
    if as_json:
        where = redacted_url(database.url.render_as_string(hide_password=True))
        # Not by `asdict`, which cannot copy a Counter.
        found = {each.name: getattr(report, each.name) for each in fields(report)}
        print_json({"ledger": where, "sound": is_sound, **found, "wholeness": whole})
    else:
        _show_wholeness(whole, limit)
        _show(report, is_whole=whole.is_whole)
    raise SystemExit(OK if is_sound else FAILURE)


def _verified(batches: Iterator[Checked], total: int, limit: int) -> _Report:
    report, began = _Report(), monotonic()
    for checked in _with_progress(batches, total):
        report.add(checked, limit)
    report.seconds = round(monotonic() - began, 3)
    return report


def _with_progress(batches: Iterator[Checked], total: int) -> Iterator[Checked]:
    # On standard error, so that the output can be piped; nothing if that is no terminal.
    terminal = Console(stderr=True)
    columns = (TextColumn("jobs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not terminal.is_terminal
    with Progress(*columns, console=terminal, transient=True, disable=hidden) as progress:
        task = progress.add_task("jobs", total=total)
        for checked in batches:
            progress.advance(task, checked.jobs)
            yield checked


def _show_wholeness(whole: Wholeness, most: int) -> None:
    out = console()
    for stray in whole.strays:
        out.print(
            f"[bold red]split[/] process {stray.pid} writes to what was {show(stray.path)}, and "
            f"is another file; {REMEDY}"
        )
    for lost in whole.lost[:most]:
        out.print(
            f"[bold red]lost[/] job [bold]{show(lost.job_id)}[/]: its message, epoch "
            f"{lost.epoch}, is in {show(lost.engine)}, and the ledger does not hold the job"
        )
    if whole.lost:
        out.print(f"{len(whole.lost):,} accepted jobs are missing; {LOST_REMEDY}")
    if whole.unexplained:
        out.print(
            f"{whole.unexplained:,} messages name jobs that are gone and may have been pruned"
        )
    for each in whole.unread:
        out.print(f"[yellow]not looked at[/] {show(each)}", soft_wrap=True)


def _show(report: _Report, *, is_whole: bool) -> None:
    out = console()
    for violation in report.listed:
        broken = f"{show(violation.about)} [bold]{show(violation.job_id)}[/]"
        out.print(f"[bold red]{show(violation.invariant)}[/] {broken}")
        out.print(f"  expected: {show(violation.rule)}")
        out.print(f"  got: {show(violation.found)}")
        for event in violation.events:
            out.print(f"    {show(_line(event))}")
    more = report.violations - len(report.listed)
    if more:
        out.print(f"and {more:,} more; see --limit")
    out.print(
        f"{counted(report.events, 'event')} of {counted(report.jobs, 'job')} in "
        f"{report.seconds:.1f} s: ",
        end="",
    )
    out.print(_verdict(report.violations, report.by_invariant.most_common(), is_whole=is_whole))


def _verdict(violations: int, by_kind: Sequence[tuple[str, int]], *, is_whole: bool) -> str:
    if not violations and not is_whole:
        return "[bold red]what is here is sound, and it is not all that was accepted[/]"
    if not violations:
        return "[green]every promise was kept[/]"
    kinds = ", ".join(f"{name} {count:,}" for name, count in by_kind)
    return f"[bold red]{counted(violations, 'violation')}[/] ({kinds})"


def _line(event: HistoryEntry) -> str:
    return (
        f"{event.n:>3} {event.at:%Y-%m-%d %H:%M:%S.%f} {event.kind} -> {event.state}, "
        f"epoch {event.epoch}, by {event.actor} {event.detail or ''}"
    )
