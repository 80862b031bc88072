"""What the commands print: tables and colours on a terminal, JSON for programs."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.states import JobState
from failsoft.worker.logs.visible import visible, visible_block

_COLOURS = {
    JobState.SCHEDULED: "cyan",
    JobState.OFFERED: "blue",
    JobState.RUNNING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
    JobState.HELD: "magenta",
}

#: The name of a class, with its module.
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\.<locals>)*\.[A-Z]\w*")

#: The columns whose cells stay on one line.
UNCUT = frozenset({"id", "state", "engine", "worker", "created", "started", "ended", "at"})
#: The least width of any other column.
ROOM = 12
#: The longest word that is not broken.
MAX_WORD = 24
#: The blanks around a cell.
PADDING = 2


def console() -> Console:
    """Return the console of standard output; `:name:` in a job's text is no emoji."""
    return Console(highlight=False, emoji=False)


def say(text: str, colour: str | None = None, *, err: bool = False) -> None:
    """Print a line of text that may contain anything.

    Args:
        text: One line; further ones are printed behind a margin.
        colour: Its colour on a terminal.
        err: On standard error instead of standard output.
    """
    click.secho(visible_block(text), fg=colour, err=err)


def answer(document: Any, text: str, colour: str | None = None, *, as_json: bool) -> None:
    """Print what a command has done: a document as JSON, or a line of text."""
    if as_json:
        print_json(document)
    else:
        say(text, colour)


@contextmanager
def may_be_lost() -> Iterator[None]:
    """Ignore output that cannot be written, where it is not the purpose of the command."""
    with suppress(OSError):
        yield


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    click.echo(json.dumps(plain(value)))


def plain(value: Any) -> Any:
    """Return a value as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        return named | {"code": value.code} if isinstance(value, ErrorRecord) else named
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
    """Print a table; of an empty one only its title.

    Args:
        title: The line above it.
        columns: The names of the columns.
        rows: A cell for each column.
        spare: Columns that are left out on a narrow terminal, the last ones first.
    """
    out = console()
    cells = [[Text.from_markup(show(cell), emoji=False) for cell in row] for row in rows]
    if not cells:
        say(title if title.startswith("0 ") else f"{title}: none")
        return
    named = dict(zip(columns, zip(*cells, strict=True), strict=True))
    widths = _widths(named, spare, out.width)
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    for column, least in widths.items():
        table.add_column(column, overflow="fold", no_wrap=column in UNCUT, min_width=least)
    for row in zip(*(named[column] for column in widths), strict=True):
        table.add_row(*row)
    out.width = max(out.width, _total(widths))
    out.print(table)


def _widths(
    named: Mapping[str, Sequence[Text]], spare: Collection[str], width: int
) -> dict[str, int]:
    """Return the least width of each column that fits; spare columns are left out first.

    Words are broken only where there is no room for them.
    """
    left = list(named)
    widths = {column: _least(column, named[column], MAX_WORD) for column in left}
    for column in [each for each in reversed(left) if each in spare]:
        if _total(widths) <= width:
            return widths
        del widths[column]
    if _total(widths) > width:
        widths = {column: _least(column, named[column], ROOM) for column in widths}
    return widths


def _least(column: str, texts: Sequence[Text], most: int) -> int:
    longest = max(len(column), *(text.cell_len for text in texts))
    if column in UNCUT:
        # A broken id cannot be copied: the table is too wide instead.
        return longest
    words = [cell_len(word) for text in texts for word in text.plain.split()]
    return min(longest, max(ROOM, min(max(words, default=0), most)))


def _total(widths: Mapping[str, int]) -> int:
    return sum(width + PADDING for width in widths.values())


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where needed."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def show(value: Any) -> str:
    """Return a value as markup of `rich`, its text escaped."""
    if isinstance(value, JobState):
        return f"[{_COLOURS[value]}]{value}[/]"
    if isinstance(value, bool):
        return "[green]yes[/]" if value else "[red]no[/]"
    if value is None or value == "":
        return "[dim]-[/]"
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, Mapping):
        return show(", ".join(f"{key}={item}" for key, item in value.items() if item != ""))
    return escape(visible(str(value)))


def in_short(error: ErrorRecord) -> str:
    """Return an error in a line: its class without its module, and its message."""
    code = f"{error.code} " if error.code else ""
    name = f"{code}{unqualified(error.type)}"
    return f"{name}: {error.message}" if error.message else name


def unqualified(name: str) -> str:
    """Return a class's name without its module; any other text as it is."""
    return name.rpartition(".")[2] if _DOTTED.fullmatch(name) else name


def when(moment: datetime) -> str:
    """Return a moment in local time, its day included."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(duration: timedelta) -> str:
    """Return a duration in the largest unit of which it has at least two, as in `3 d`."""
    seconds = max(0, round(duration.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
