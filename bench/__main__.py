"""The whole table of targets: ours beside raw RQ, raw Dramatiq, the durable peers, and the floors.

    make bench                                        # everything, on both ledgers
    make bench ARGS=--quick                           # to see that it runs
    make bench ARGS="--only lanes pickup --ledger sqlite --json"
    make bench ARGS=--save                            # into docs/evidence/bench/table.json

`--only` takes the names of programs (peers dispatch io handover light step growth), or of what
the peers are compared in (lanes pickup bulk steps). Exit status: 0 where every target was met, 1
where one was missed, 69 where a row or a peer could not be measured, which its row says.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.programs import LEDGERS, PROGRAMS, NoRowsError, Program, rows_of, run
from bench.report.row import Row, missing
from bench.report.table import print_all, wide_console

EVIDENCE = Path(__file__).parents[1] / "docs/evidence/bench/table.json"
OK, MISSED, NOT_MEASURED = 0, 1, 69


def main() -> int:
    """Run the programs, and print what was found; return the exit status."""
    arguments = _parsed()
    document = _measured(arguments)
    if arguments.save:
        EVIDENCE.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    if arguments.json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    else:
        print_all(document, wide_console())
    return _status(document, Console(stderr=True))


def chosen(only: Sequence[str] | None) -> Iterator[tuple[Program, Sequence[str]]]:
    """Return the programs that `--only` names, with what it names of their kinds."""
    for program in PROGRAMS:
        kinds = [each for each in only or () if each in program.kinds]
        if not only or program.name in only or kinds:
            yield program, ["--only", *kinds] if kinds else []


def _runs(arguments: argparse.Namespace) -> Iterator[tuple[Program, str, Sequence[str]]]:
    """Return each run: its program, its ledger, its arguments."""
    for program, kinds in chosen(arguments.only):
        more = [*kinds, *(program.quick if arguments.quick else ())]
        wanted = [arguments.ledger] if arguments.ledger else LEDGERS
        for ledger in [each for each in wanted if each in program.ledgers]:
            yield program, ledger, [*more, "--ledger", ledger]
        if not program.ledgers:
            # The peers are compared on both at once, or on the one.
            ledger = arguments.ledger if program.kinds else None
            yield program, "", [*more, *(("--ledger", ledger) if ledger else ())]


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    document: dict[str, Any] = {
        "quick": arguments.quick,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "load": [round(os.getloadavg()[0], 1)],
        "rows": [],
    }
    runs = list(_runs(arguments))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("bench", total=len(runs))
        for program, ledger, words in runs:
            progress.update(task, description=f"{program.name} {ledger}".strip())
            _add(document, program, ledger, words)
            progress.advance(task)
    document["load"].append(round(os.getloadavg()[0], 1))
    document["seconds"] = round(time.monotonic() - began)
    return document


def _add(document: dict[str, Any], program: Program, ledger: str, words: Sequence[str]) -> None:
    try:
        values = run(program, words)
    except NoRowsError as error:
        rows = [missing(program.name, "", str(error), ledger=ledger)]
    else:
        rows = [row for value in values for row in rows_of(value, ledger)]
        for value in values:
            if isinstance(value, dict):
                document.update({key: value[key] for key in ("floors", "systems") if key in value})
    document["rows"] += [row.as_dict() for row in rows]


def _status(document: dict[str, Any], console: Console) -> int:
    rows = [Row.of(each) for each in document["rows"]]
    absent = [each["name"] for each in document.get("systems", ()) if each["missing"]]
    unknown = [f"{row.name} {row.ledger}".strip() for row in rows if row.figure is None]
    missed = sum(row.met is False for row in rows)
    met = sum(row.met is True for row in rows)
    console.print(f"{met} targets met, {missed} missed, {len(unknown)} not measured")
    if absent or unknown:
        console.print(f"not measured: {', '.join([*absent, *unknown])}")
        return NOT_MEASURED
    return MISSED if missed else OK


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    words = [each for program in PROGRAMS for each in (program.name, *program.kinds)]
    parser.add_argument("--only", nargs="+", choices=words, metavar="ROW", help=" ".join(words))
    parser.add_argument("--ledger", choices=LEDGERS, help="one of them; both otherwise")
    parser.add_argument("--quick", action="store_true", help="few of everything, in one round")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    parser.add_argument("--save", action="store_true", help="keep the figures as evidence")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
