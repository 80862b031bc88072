"""Whatever the pages about the code name is there: files, what they define, links, targets."""

import re
from pathlib import Path

import pytest

from tests.docs.paths import ROOT, defines, find, links_in, named_in, targets_in
from tests.order import SECONDS

PAGES = [
    ROOT / name
    for name in (
        "docs/explain/protocol.md",
        "docs/explain/architecture.md",
        "docs/reference/glossary.md",
        "CONTRIBUTING.md",
        "tests/README.md",
    )
]

_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@_pages
def test_every_path_in_backticks_exists_and_defines_what_is_named(page: Path) -> None:
    missing = []
    for path, name in named_in(page.read_text()):
        found = find(path)
        if found is None or (name and not defines(found, name)):
            missing.append(f"{path}::{name}" if name else path)

    assert not missing, f"{page.relative_to(ROOT)} names what is not there: {missing}"


@_pages
def test_every_link_leads_to_a_file(page: Path) -> None:
    broken = [each for each in links_in(page.read_text()) if not (page.parent / each).exists()]

    assert not broken, f"{page.relative_to(ROOT)} links to {broken}"


@_pages
def test_every_target_of_make_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(targets_in(page.read_text())) <= targets


def test_the_tests_that_take_long_are_there() -> None:
    assert [each for each in SECONDS if not (ROOT / each).exists()] == []


def test_a_path_or_a_name_that_is_not_there_is_found() -> None:
    text = "`ledger/no_such_file.py`, `ledger/ledger.py::NoSuchClass` and `make no-such-target`"
    (missing, _), (path, name) = named_in(text)
    found = find(path)

    assert find(missing) is None
    assert found is not None
    assert not defines(found, name)
    assert defines(found, "SqlLedger")
    assert targets_in(text) == ["no-such-target"]
