"""What the commands print: tables and colours for people, JSON for programs."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from itertools import compress
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from understudy.job_engine.states import JobState
from understudy.worker.visible import visible, visible_block

_COLOURS = {
    JobState.SCHEDULED: "cyan",
    JobState.OFFERED: "blue",
    JobState.RUNNING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
    JobState.HELD: "magenta",
}

#: A terminal of so many columns has room for every column of a table.
WIDE = 110
#: The columns whose cells stay on one line.
UNCUT = frozenset({"id", "state", "engine", "worker", "created", "started", "ended", "at"})
#: What any other column gets at least.
ROOM = 12
#: The blanks around a cell.
PADDING = 2

#: What an option makes of a command's function.
Option = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)


def console() -> Console:
    """Return the console of standard output; `:name:` in a job's text is no emoji."""
    return Console(highlight=False, emoji=False)


def say(text: str, colour: str | None = None, *, err: bool = False) -> None:
    """Print a line for people, whatever the text holds.

    Args:
        text: One line; further ones stand behind a margin.
        colour: Its colour on a terminal.
        err: On standard error instead of standard output.
    """
    click.secho(visible_block(text), fg=colour, err=err)


@contextmanager
def may_be_lost() -> Iterator[None]:
    """Go on if what is printed cannot be written: it is not what the command is for."""
    with suppress(OSError):
        yield


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    click.echo(json.dumps(plain(value)))


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    spare: Collection[str] = (),
) -> None:
    """Print a table for people.

    Args:
        title: What stands above it.
        columns: The names of the columns.
        rows: A cell for each column.
        spare: Columns that a narrow terminal does without.
    """
    out = console()
    kept = [c not in spare or out.width >= WIDE for c in columns]
    cells = [
        [Text.from_markup(show(cell), emoji=False) for cell in compress(row, kept)] for row in rows
    ]
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    for column, *texts in zip(compress(columns, kept), *cells, strict=True):
        longest = max(len(column), *(text.cell_len for text in texts), 0)
        # An id that is cut in two cannot be copied: rather than that, the table is too wide.
        least = longest if column in UNCUT else min(longest, ROOM)
        table.add_column(column, overflow="fold", no_wrap=column in UNCUT, min_width=least)
    for each in cells:
        table.add_row(*each)
    least_width = sum((column.min_width or 0) + PADDING for column in table.columns)
    out.width = max(out.width, least_width)
    out.print(table)


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show(value: Any) -> str:
    """Return a value as markup of `rich` for people; nothing in a text is markup or control."""
    if isinstance(value, JobState):
        return f"[{_COLOURS[value]}]{value}[/]"
    if isinstance(value, bool):
        return "[green]yes[/]" if value else "[red]no[/]"
    if value is None or value == "":
        return "[dim]-[/]"
    if isinstance(value, datetime):
        return _when(value.astimezone())
    if isinstance(value, Mapping):
        return show(", ".join(f"{key}={item}" for key, item in value.items() if item != ""))
    return escape(visible(str(value)))


def _when(moment: datetime) -> str:
    is_today = moment.date() == datetime.now(moment.tzinfo).date()
    return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")
