"""The table of the benchmarks: rows of any program, verdicts, and what could not be measured."""

import json
import tomllib
from pathlib import Path

import pytest

from bench.peers.catalogue import DRAMATIQ, RQ, SYSTEMS, System
from bench.peers.environment import ROOT
from bench.programs import NoRowsError, Program, rows_of, run
from bench.report.chart import THEMES, chart
from bench.report.row import Row, at_least, at_most, missing

ROW = {"name": "n", "target": "≤ 2", "figure": 1.5, "spread": [1, 2], "met": True}


def printing(folder: Path, text: str, status: int = 0) -> Program:
    code = folder / "program.py"
    code.write_text(f"import sys\nprint({text!r})\nsys.exit({status})\n")
    return Program("program", (str(code),))


def test_the_figure_is_the_median_of_the_rounds() -> None:
    row = at_most("n", 2, [1.0, 5.0, 2.0])

    assert (row.figure, [*row.spread], row.met, row.target) == (2.0, [1.0, 5.0], True, "≤ 2x")
    assert at_most("n", 2, [2.1]).met is False
    assert at_least("n", 2, [1.9], "jobs/s").met is False
    assert at_least("n", 2, [1.9], "jobs/s").target == "≥ 2 jobs/s"


def test_a_row_is_read_as_it_was_written() -> None:
    row = at_least("n", 2, [3.0], ledger="sqlite", details={"raw": 1})

    assert Row.of(json.loads(json.dumps(row.as_dict()))) == row
    assert missing("n", "≥ 2x", "no network").figure is None


def test_rows_are_found_wherever_they_stand() -> None:
    document = {"found": [{"rows": [ROW]}, 3], "more": ROW | {"ledger": "postgresql", "extra": 1}}

    first, second = rows_of(document, "sqlite")

    assert (first.ledger, second.ledger) == ("sqlite", "postgresql")
    assert second.details == {"extra": 1}


@pytest.mark.parametrize("text", [json.dumps(ROW) + "\n" + json.dumps(ROW), json.dumps([ROW, ROW])])
def test_a_program_prints_its_rows_in_one_value_or_in_several(tmp_path: Path, text: str) -> None:
    values = run(printing(tmp_path, text), ())

    assert sum(len(rows_of(each, "")) for each in values) == 2


@pytest.mark.parametrize(("text", "status"), [("{}", 0), (json.dumps(ROW), 1)])
def test_a_program_without_rows_is_an_error(tmp_path: Path, text: str, status: int) -> None:
    with pytest.raises(NoRowsError):
        run(printing(tmp_path, text, status), ())


def test_raw_rq_and_raw_dramatiq_have_the_versions_that_ours_run_on() -> None:
    # Those of the lock, with which the bench runs: the tests run with others, too.
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    locked = {each["name"]: each["version"] for each in packages}
    for pinned in (*RQ, *DRAMATIQ):
        name, _, wanted = pinned.partition("==")
        assert locked[name] == wanted


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_each_system_has_a_program_pinned_versions_and_says_what_it_loses(system: System) -> None:
    assert (ROOT / "bench/peers/programs" / f"{system.program}.py").is_file()
    assert all("==" in each for each in system.packages)
    assert system.is_ours is (not system.packages)
    assert system.loses


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_chart_has_a_bar_for_each_system_with_a_figure(theme: object) -> None:
    systems = [
        {"name": "Failsoft, <RQ>", "loses": "nothing", "figures": {"jobs_per_s": [90, 80, 99]}},
        {"name": "Slow", "loses": "all", "figures": {"jobs_per_s": [9, 8, 10]}},
        {"name": "Absent", "loses": "all", "figures": {}},
    ]
    document = {"systems": systems, "machine": {"cores": 2}, "load": [1.0]}

    text = chart(document, theme)  # type: ignore[arg-type]  # of the parameters of pytest

    assert text == chart(document, theme)  # type: ignore[arg-type]  # likewise
    assert text.count("<rect") == 3
    assert "Failsoft, &lt;RQ&gt;*" in text
    assert "Absent" not in text
