"""What the commands print: tables and colours for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from understudy.job_engine.states import JobState

_COLOURS = {
    JobState.SCHEDULED: "cyan",
    JobState.OFFERED: "blue",
    JobState.RUNNING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
    JobState.HELD: "magenta",
}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def console() -> Console:
    """Return the console of standard output."""
    return Console(highlight=False)


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


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table for people."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        # An id that is cut in two cannot be copied.
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "state", "engine"))
    for row in rows:
        table.add_row(*(show(cell) for cell in row))
    console().print(table)


def show(value: Any) -> str:
    """Return a cell's text for people."""
    if isinstance(value, JobState):
        return f"[{_COLOURS[value]}]{value}[/]"
    if value is None or value == "":
        return "[dim]-[/]"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return str(value).replace("[", "\\[")
