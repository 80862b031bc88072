"""The tables of a benchmark, as a terminal shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.report.row import Row

#: What is shown of a system: a name's figure, its heading, and how it is written.
COLUMNS: tuple[tuple[str, str], ...] = (
    ("enqueue_p50_us", "enqueue p50 µs"),
    ("bulk_per_s", "bulk/s"),
    ("jobs_per_s", "jobs/s"),
    ("worker_cpu_us", "CPU µs/job"),
    ("server_cpu_us", "servers' CPU µs/job"),
    ("pickup_p50_ms", "pickup p50 ms"),
    ("pickup_p99_ms", "p99"),
    ("steps_per_s", "steps/s"),
)
#: Of the tables where there is no terminal.
WIDTH = 150
NO_FIGURE = "–"  # noqa: RUF001 - a dash, as tables have it
VERDICTS: Mapping[bool | None, str] = {True: "[green]met", False: "[red]missed", None: ""}


def wide_console(*, stderr: bool = False) -> Console:
    """Return a console wide enough for the tables, also where there is no terminal."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def print_all(document: Mapping[str, Any], console: Console) -> None:
    """Print what a document of a run has: floors, systems, rows."""
    if document.get("floors"):
        console.print(floors(document["floors"]))
    if document.get("systems"):
        console.print(systems(document["systems"]))
        console.print(losses(document["systems"]))
    if document.get("rows"):
        console.print(targets([Row.of(each) for each in document["rows"]]))


def targets(rows: Sequence[Row]) -> Table:
    """Return the table of targets, with figure, spread and verdict."""
    table = Table("what", "ledger", "target", title="Targets")
    for heading in ("figure", "least", "greatest"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for row in rows:
        table.add_row(row.name, row.ledger, row.target, *_figures(row), _verdict(row))
    return table


def systems(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of what each system measured; the median of the rounds."""
    table = Table("system", title="One worker process of each; medians of the rounds")
    for _, heading in COLUMNS:
        table.add_column(heading, justify="right")
    for system in found:
        cells = [_shown(system["figures"].get(name)) for name, _ in COLUMNS]
        table.add_row(system["name"], *cells)
    return table


def losses(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of what each system loses, and why it has fewer rounds, or no figures."""
    table = Table("system", "installed", "what a crash loses", title="Durability")
    for system in found:
        installed = " ".join(system["packages"]) or "this checkout"
        table.add_row(system["name"], installed, lost_by(system))
    return table


def lost_by(system: Mapping[str, Any]) -> str:
    """Return what a system loses, if it was measured, and what it failed in a round."""
    missing = system["missing"]
    if not missing:
        return str(system["loses"])
    return f"{system['loses']} (fewer rounds: {missing})" if system["figures"] else str(missing)


def floors(found: Mapping[str, Sequence[float]]) -> Table:
    """Return the table of the floors."""
    table = Table("floor, p50", title="Floors of the same run")
    for heading in ("µs", "least", "greatest"):
        table.add_column(heading, justify="right")
    for name, values in found.items():
        table.add_row(name, *(f"{value:,.0f}" for value in values))
    return table


def _figures(row: Row) -> Sequence[str]:
    if row.figure is None:
        return NO_FIGURE, "", ""
    unit = row.unit if row.unit in ("", "x", "%") else f" {row.unit}"
    return f"{row.figure:,g}{unit}", *(f"{each:,g}" for each in row.spread)


def _verdict(row: Row) -> str:
    return f"[yellow]{row.note}" if row.figure is None else VERDICTS[row.met]


def _shown(summary: Sequence[float] | None) -> str:
    if summary is None:
        return NO_FIGURE
    value = summary[0]
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
