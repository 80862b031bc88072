"""Every figure of the README and of the page on performance stands in a file of the last runs."""

import json
import re
from pathlib import Path

import pytest

from tests.evidence.blocks import BLOCKS, PAGES, filled, names_in
from tests.evidence.charts import charts

_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
#: A figure that a measurement gives; amounts of what is set or promised have other units.
_MEASURED = re.compile(r"\d[\d.,]*\s*(?:jobs/s|steps/s|times the|µs|jobs a second|steps a second)")
_BLOCK = re.compile(r"<!-- figures: .*?<!-- end of figures -->", re.DOTALL)


@_pages
def test_each_block_says_what_the_last_runs_found(page: Path) -> None:
    text = page.read_text()

    assert names_in(text), f"{page.name} has no block of figures"
    assert text == filled(text), "run `make evidence`"


@_pages
def test_no_figure_is_written_by_hand(page: Path) -> None:
    assert _MEASURED.findall(_BLOCK.sub("", page.read_text())) == []


def test_a_figure_that_was_written_by_hand_is_found() -> None:
    text = "1,200 jobs/s <!-- figures: floors -->53 µs<!-- end of figures -->"

    assert _MEASURED.findall(_BLOCK.sub("", text)) == ["1,200 jobs/s"]
    assert filled(text) != text


def test_every_block_stands_on_a_page() -> None:
    assert {name for page in PAGES for name in names_in(page.read_text())} == {*BLOCKS}


def test_the_charts_are_made_of_the_figures() -> None:
    for path, text in charts():
        assert path.read_text() == text, "run `make evidence`"


def test_a_run_names_its_floors_and_all_its_systems() -> None:
    path = PAGES[0].parent / "docs/evidence/bench/table.json"
    if not path.exists():
        pytest.skip("no run of the whole table has been kept")
    document = json.loads(path.read_text())

    assert {"floors", "systems", "rows", "machine", "load"} <= document.keys()
    assert all(each["figures"] or each["missing"] for each in document["systems"])
