"""The programs whose rows make the whole table: one line each."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report.row import Row

ROOT = Path(__file__).parents[1]
SQLITE, POSTGRESQL = "sqlite", "postgresql"
LEDGERS = (SQLITE, POSTGRESQL)

#: Runs a program with DBOS installed beside the checkout, and nothing left of it afterwards.
WITH_DBOS = (
    *(str(ROOT / ".tools/bin/uv"), "run", "--quiet", "--locked", "--isolated", "--all-packages"),
    *("--all-extras", "--group", "bench", "--python", sys.executable, "python"),
)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that prints its rows as JSON, alone or within more of it.

    Attributes:
        name: What `--only` calls it.
        words: Its module's file and its arguments.
        quick: More arguments, for a run of a few seconds.
        kinds: What `--only` may call, too: passed on to the program.
        ledgers: On which it runs, one run for each; none where it is run once, without `--ledger`.
        python: What runs it.
    """

    name: str
    words: tuple[str, ...]
    quick: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    ledgers: tuple[str, ...] = LEDGERS
    python: tuple[str, ...] = (sys.executable,)


PROGRAMS: tuple[Program, ...] = (
    Program(
        "peers",
        ("-m", "bench.peers", "--json"),
        ("--quick",),
        ("lanes", "pickup", "bulk", "steps"),
        ledgers=(),
    ),
    Program("dispatch", ("bench/dispatching/targets.py",), ("--count", "100", "--many", "1000")),
    Program(
        "io",
        ("bench/lanes/rq_lane.py", "--only", "io", "--json"),
        ("--jobs", "500", "--rounds", "1"),
        ledgers=(SQLITE,),
    ),
    Program("handover", ("bench/lanes/handover.py", "--json"), ("--jobs", "200", "--rounds", "1")),
    Program(
        "light", ("bench/costs/light.py", "--json"), ("--rounds", "1", "--seconds", "3"), ledgers=()
    ),
    Program(
        "step",
        ("bench/steps/beside_dbos.py", "--json"),
        ("--jobs", "20", "--batch", "10", "--rounds", "1"),
        python=WITH_DBOS,
    ),
    Program(
        "growth",
        ("bench/ledger/growth.py", "--json", "--no-evidence"),
        ("--rows", "20000", "--calls", "3"),
    ),
)


class NoRowsError(Exception):
    """A program ended without its rows."""


def run(program: Program, arguments: Sequence[str]) -> Sequence[Any]:
    """Run a program; return the values of JSON that it printed.

    Raises:
        NoRowsError: It failed, or printed no row; with the last line that it wrote.
    """
    found = subprocess.run(  # noqa: S603 - our own programs
        (*program.python, *program.words, *arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    values = list(_values(found.stdout)) if found.returncode == 0 else []
    if not any(True for each in values for _ in dicts_of_rows(each)):
        written = found.stderr.strip().splitlines() or [f"status {found.returncode}, no row"]
        raise NoRowsError(written[-1].strip())
    return values


def _values(text: str) -> Iterator[Any]:
    """Return each value of a text of JSON, of which there may be several."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()


def dicts_of_rows(value: Any) -> Iterator[Mapping[str, Any]]:
    """Return every row within a value of JSON, wherever it stands."""
    if isinstance(value, Mapping):
        if {"name", "target", "figure", "spread", "met"} <= value.keys():
            yield value
        else:
            for each in value.values():
                yield from dicts_of_rows(each)
    elif isinstance(value, list):
        for each in value:
            yield from dicts_of_rows(each)


def rows_of(value: Any, ledger: str) -> list[Row]:
    """Return the rows within a value; a unit that a row leaves out stands in its name."""
    return [Row.of({"ledger": ledger, "unit": "", **each}) for each in dicts_of_rows(value)]
