"""Every program and every command of the guide works as printed."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from failsoft.worker.cli import main
from tests.docs.page import blocks_of, commands_of
from tests.servers.fork_server import ForkServer

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "jobs"
PAGES = sorted(page for page in GUIDE.glob("*.md") if page.name != "README.md")
INDEX = (GUIDE / "README.md").read_text()
README = (GUIDE.parents[2] / "README.md").read_text()
#: A longer page is two.
MOST_LINES = 300

_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture(scope="module")
def page_server() -> Iterator[ForkServer]:
    """Forks a process for each page."""
    with ForkServer("tests.docs.__main__", "failsoft.dispatcher.plugins.memory") as started:
        yield started


@_pages
def test_a_page_runs_as_printed(page: Path, page_server: ForkServer, tmp_path: Path) -> None:
    log = tmp_path / "page.log"
    ran = page_server.fork(
        "tests.docs.__main__", [str(page)], env=dict(os.environ), cwd=GUIDE.parents[2], log=log
    )

    assert ran.wait(110) == 0, log.read_text()


@_pages
def test_a_page_has_an_example_and_stands_in_the_index(page: Path) -> None:
    assert list(blocks_of(page))
    assert f"({page.name})" in INDEX


@_pages
def test_a_page_is_short_and_the_readme_leads_to_it(page: Path) -> None:
    assert len(page.read_text().splitlines()) < MOST_LINES
    assert f"(docs/how-to/jobs/{page.name})" in README


def test_the_index_names_no_page_that_is_not_there() -> None:
    named = set(re.findall(r"\(([\w-]+\.md)\)", INDEX))

    assert named == {page.name for page in PAGES}


@pytest.mark.parametrize("line", sorted({c for page in PAGES for c in commands_of(page)}))
def test_every_command_exists(line: str) -> None:
    exists(line)


def exists(line: str) -> None:
    """Expect a command of a page, with its options."""
    command = []
    group = main
    for word in line.split():
        found = group.get_command(None, word) if hasattr(group, "get_command") else None
        if found is None:
            break
        command.append(word)
        group = found

    shown = CliRunner().invoke(main, [*command, "--help"])

    assert command, line
    assert shown.exit_code == 0, shown.output
    for option in re.findall(r"(--[a-z-]+)", line):
        assert option in shown.output, f"{option} in {line}"
