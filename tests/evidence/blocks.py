"""What pages say of figures, between two comments that name the block, from the last runs.

    <!-- figures: systems -->
    ...
    <!-- end of figures -->

`make evidence` writes what stands between; a test compares it. So no figure of these pages is
written by hand.
"""

import re
from collections.abc import Callable, Mapping

from bench.report.row import Row
from bench.report.table import COLUMNS, lost_by
from tests.evidence.benchmarks import WAYS
from tests.evidence.figures import FOLDER, Figures, one
from tests.evidence.tables import table

ROOT = FOLDER.parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs/explain/performance.md")

#: Within a line, or, where a line ends after the name, of whole lines.
_BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->)(\n?)(.*?)(<!-- end of figures -->)", re.DOTALL)
NOT_RUN = "*Not measured yet.*"
#: The runs of `make bench-growth` that are kept.
GROWTH = ("sqlite", "postgresql", "postgresql-10m")
_DATABASES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


def filled(text: str) -> str:
    """Return a page with each block written again."""
    return _BLOCK.sub(lambda each: f"{each[1]}{each[3]}{BLOCKS[each[2]]()}{each[3]}{each[5]}", text)


def names_in(text: str) -> list[str]:
    """Return the blocks that a page has."""
    return [each[2] for each in _BLOCK.finditer(text)]


def _systems() -> str:
    document = one("bench/table")
    if not document:
        return NOT_RUN
    head = ["system", *(heading for _, heading in COLUMNS)]
    rows = [
        [each["name"], *(_median(each["figures"], name) for name, _ in COLUMNS)]
        for each in document["systems"]
    ]
    return table(head, rows)


def _durability() -> str:
    document = one("bench/table")
    if not document:
        return NOT_RUN
    rows = [[each["name"], lost_by(each)] for each in document["systems"]]
    return table(["system", "what a crash loses"], rows)


def _floors() -> str:
    document = one("bench/table")
    if not document:
        return NOT_RUN
    rows = [[name, f"{values[0]:.0f}"] for name, values in document["floors"].items()]
    return table(["floor", "p50 µs"], rows)


def _targets() -> str:
    document = one("bench/table")
    if not document:
        return NOT_RUN
    rows = [_target(Row.of(each)) for each in document["rows"]]
    return table(["what", "ledger", "target", "figure", "spread", "verdict"], rows)


def _target(row: Row) -> list[str]:
    verdict = row.note if row.figure is None else {True: "met", False: "missed", None: ""}[row.met]
    spread = " to ".join(f"{each:g}" for each in row.spread)
    return [row.name, row.ledger, row.target, _figure(row), spread, verdict]


def _growth() -> str:
    """Return what each size of a ledger was found to cost, a column each."""
    runs = [one(f"bench/growth-{name}") for name in GROWTH]
    if not all(runs):
        return NOT_RUN
    columns = [{_of_any_count(row["name"]): Row.of(row) for row in run["found"]} for run in runs]
    heads = [f"{_DATABASES[run['ledger']]}, {run['rows']:,} jobs" for run in runs]
    rows = [
        [name, row.target, *(_figure(column.get(name)) for column in columns)]
        for name, row in columns[0].items()
    ]
    return table(["what", "target", *heads], rows)


def _of_any_count(name: str) -> str:
    """Return the name of a row without how many jobs a run has pruned."""
    return re.sub(r"\b\d{5,} jobs", "jobs", name)


def _figure(row: Row | None) -> str:
    return "" if row is None or row.figure is None else f"{row.figure:,g} {row.unit}".strip()


def _handover() -> str:
    """Return what it took to hand over what waited at a dead engine, a row for each ledger."""
    runs = [one(f"bench/handover-{ledger}") for ledger in _DATABASES]
    if not all(runs):
        return NOT_RUN
    head = ["ledger", "s", "CPU of the ledger, s", "other dispatches meanwhile, p50 ms", "p99"]
    rows = []
    for run in runs:
        (row,) = run["found"]
        others = row["other_dispatches"]["meanwhile"]
        measured = (row["figure"], row["cpu_s"], others["p50_ms"], others["p99_ms"])
        rows.append([_DATABASES[run["ledger"]], *(f"{each:.3g}" for each in measured)])
    return table(head, rows)


def _steps() -> str:
    """Return one sentence of the steps beside DBOS, as the run on the disk found them."""
    runs: Mapping[str, Figures] = {each["ledger"]: each for each in one("bench/steps-disk")}
    told = [_of_ledger(name, runs[key]) for key, name in _DATABASES.items()]
    return f"a job of ten steps, each step committed, takes {' and '.join(told)}"


def _of_ledger(name: str, run: Figures) -> str:
    alone, queued = ({rate["who"]: rate for rate in run[way]["rates"]} for way in WAYS)
    ours = alone["Failsoft"]
    through = sorted(
        rate["times_dbos"] for who, rate in queued.items() if who.startswith("Failsoft")
    )
    return (
        f"{ours['p50_ms']:.0f} ms on {name}, {ours['times_dbos']:.1f} times the steps a second"
        f" of DBOS on the same database, and {through[0]:.1f} to {through[-1]:.1f} times"
        " through the queues"
    )


def _median(figures: Figures, name: str) -> str:
    if name not in figures:
        return ""
    value = figures[name][0]
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "systems": _systems,
    "durability": _durability,
    "floors": _floors,
    "targets": _targets,
    "growth": _growth,
    "handover": _handover,
    "steps": _steps,
}
