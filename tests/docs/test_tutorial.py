"""The tutorial, typed by hand: every command of its pages, with a Redis that is really killed."""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.page import commands_of
from tests.docs.paths import ROOT
from tests.docs.test_guide import exists
from tests.docs.tutorial import Command, File, Terminal, actions_of, masked, pattern_of
from tests.integration.test_distribution import wheels
from tests.servers.valkey import Valkey

__all__ = ["wheels"]

PAGES = sorted((ROOT / "docs" / "tutorial").glob("[1-9]-*.md"))
#: The page on which jobs are handed over, and what installs Failsoft on the first one.
HAND_OVER = "3-kill-redis.md"
INSTALLS = ("python3 -m venv", "pip install")
#: The Redis that the last page takes for granted.
SERVER = "localhost:6379"
#: Names the folder that the seconds of a walk from the installation on go to, as JSON.
SUMMARY = "_FAILSOFT_TUTORIAL_SUMMARY"
#: The hour may strike while the pages are typed: its job would be one more in lists and counts.
QUIET = {"FAILSOFT_PRUNE": "off"}
#: What pip warns of is the machine's: a newer pip, a place without wheels.
QUIET_PIP = {"PIP_QUIET": "1"}


@contextmanager
def terminals(folder: Path, env: Mapping[str, str]) -> Iterator[Callable[[Command], None]]:
    first, second = Terminal(folder, env), Terminal(folder, env)
    try:
        yield lambda command: (first if command.in_first else second).do(command)
    finally:
        first.close()
        second.close()


def walk(folder: Path, env: Mapping[str, str], valkey: Valkey) -> dict[str, float]:
    """Follow every page; return how many seconds each took, and the installation before them."""
    took = dict.fromkeys(("installation", *(page.name for page in PAGES)), 0.0)
    is_installed = (folder / ".venv").exists()
    with terminals(folder, {**os.environ, **QUIET, **env}) as do:
        for page in PAGES:
            for action in actions_of(page):
                if isinstance(action, File):
                    text = action.text.replace(SERVER, f"127.0.0.1:{valkey.port}")
                    (folder / action.name).write_text(text)
                    continue
                installs = action.typed.startswith(INSTALLS)
                if not (is_installed and installs):
                    began = time.monotonic()
                    do(action)
                    took["installation" if installs else page.name] += time.monotonic() - began
    return took


def keep(took: Mapping[str, float]) -> None:
    """Write down what a walk took, and how busy the machine was, if the environment says where."""
    folder = os.environ.get(SUMMARY)
    if folder:
        seconds = {name: round(each, 1) for name, each in took.items()}
        load = [round(each, 1) for each in os.getloadavg()]
        figures = {"seconds": seconds, "last": HAND_OVER, "load": load}
        (Path(folder) / "tutorial.json").write_text(json.dumps(figures, indent=2) + "\n")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_command_prints_what_the_page_says(tmp_path: Path, valkey: Valkey) -> None:
    activate = tmp_path / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n")

    walk(tmp_path, {}, valkey)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_from_the_installation_to_the_hand_over(
    tmp_path: Path, valkey: Valkey, wheels: Path
) -> None:
    keep(walk(tmp_path, {"PIP_FIND_LINKS": str(wheels), **QUIET_PIP}, valkey))


def test_the_pages_are_numbered_and_name_the_next() -> None:
    names = [page.name for page in PAGES]

    assert [name[:2] for name in names] == [f"{n}-" for n in range(1, 7)]
    for page, after in zip(PAGES, names[1:], strict=False):
        assert f"({after})." in page.read_text()


@pytest.mark.parametrize("line", sorted({c for page in PAGES for c in commands_of(page)}))
def test_every_command_exists(line: str) -> None:
    exists(line)


def test_what_is_printed_otherwise_is_found() -> None:
    page = "200 parcels: 78 by dramatiq, 122 by rq"

    assert masked("200 parcels: 1 by dramatiq, 199 by rq\r\n") == masked(page)
    assert masked("200 parcels: 0 by dramatiq, 200 by rq\r\n") != masked(page)
    assert masked("199 parcels: 9 by dramatiq, 190 by rq\r\n") != masked(page)
    assert pattern_of("a…\n…\nz") == "a.*?\n(?s:.*?)\nz"
