"""`failsoft ledger upgrade`."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import timedelta
from time import monotonic

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from failsoft.ledger.upgrade.run import Upgrade, upgrade
from failsoft.ledger.upgrade.steps import PATIENCE, Progress, Report
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import counted, plain, print_json
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.ledger_access import make_ledger_folder, open_database

#: How often a running step is printed where there is no terminal, in seconds.
AGAIN_AFTER = 10


@click.command("upgrade")
@click.option(
    "--adopt",
    is_flag=True,
    help="Make this host the owner of a SQLite ledger that was moved here.",
)
@click.option(
    "--new-id",
    is_flag=True,
    help="Give a copy of a ledger an id of its own, before anything else is done with it.",
)
@duration_option(
    "--patience",
    default=f"{PATIENCE // timedelta(minutes=1)}m",
    text="How long to wait for a lock, or for another upgrade.",
)
@json_option
def upgrade_command(*, adopt: bool, new_id: bool, patience: timedelta, as_json: bool) -> None:
    """Create the ledger's tables, or bring them up to date.

    Other processes go on working meanwhile. If it is killed, run it again: it continues after the
    last finished step. The progress goes to standard error, with --json as one document a line.
    """
    settings = load_settings()
    make_ledger_folder(settings)
    with (
        closing(open_database(settings)) as database,
        _progress(as_json=as_json) as report,
    ):
        done = upgrade(database, adopt_host=adopt, new_id=new_id, report=report, patience=patience)
    if as_json:
        facts = asdict(done)
        print_json({"ledger": facts.pop("place"), **facts})
    else:
        click.secho(_summary(done), fg="green")


def _summary(done: Upgrade) -> str:
    if done.tables:
        change = f"made {counted(done.tables, 'table')} at schema {done.revision}"
    elif done.before != done.revision:
        change = f"upgraded from schema {done.before} to {done.revision}"
    else:
        change = f"nothing to do, at schema {done.revision}"
    if done.adopted_from is not None:
        change += f", taken over from host {done.adopted_from}"
    return f"ledger {done.place}: {change}"


@contextmanager
def _progress(*, as_json: bool) -> Iterator[Report]:
    terminal = Console(stderr=True, highlight=False)
    if as_json:
        yield _print_json_line
    elif not terminal.is_terminal:
        yield _Lines().report
    else:
        with Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=terminal,
        ) as bars:
            yield _Bars(bars).report


def _print_json_line(progress: Progress) -> None:
    click.echo(json.dumps(plain(progress)), err=True)


class _Lines:
    """A line for each finished step, and every few seconds for one that takes long."""

    def __init__(self) -> None:
        self._began = self._printed = monotonic()

    def report(self, progress: Progress) -> None:
        now = monotonic()
        if progress.phase == "begun":
            self._began = self._printed = now
        elif progress.phase == "done":
            click.echo(f"{_named(progress)}: done in {now - self._began:.1f} s", err=True)
        elif now - self._printed > AGAIN_AFTER:
            self._printed = now
            share = f" {progress.done}/{progress.total}" if progress.total else ""
            click.echo(f"{_named(progress)}: {progress.phase}{share}", err=True)


class _Bars:
    """A bar for each step."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def report(self, progress: Progress) -> None:
        key = (progress.revision, progress.step)
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task("", total=None)
        shown = _named(progress)
        if progress.phase not in ("begun", "done"):
            shown = f"{shown}: {progress.phase}"
        if progress.phase == "done":
            total = self._bars.tasks[self._tasks[key]].total or 1
            self._bars.update(self._tasks[key], total=total, completed=total)
        elif progress.total:
            self._bars.update(self._tasks[key], total=progress.total, completed=progress.done)
        self._bars.update(self._tasks[key], description=Text(shown).markup)


def _named(progress: Progress) -> str:
    return " ".join(filter(None, (progress.revision, progress.step)))
