"""The progress of what takes long on a ledger: bars on a terminal, otherwise lines."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
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

from failsoft.ledger.upgrade.steps import Progress, Report
from failsoft.worker.cli.output import plain

#: How often a running step is printed where there is no terminal, in seconds.
AGAIN_AFTER = 10


@contextmanager
def shown_progress(*, as_json: bool) -> Iterator[Report]:
    """Return what reports the progress to standard error, with JSON as one document a line."""
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
