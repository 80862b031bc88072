"""The engine of examples/ keeps every promise, is short, and is what the template makes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.dispatcher.plugins.plugin import KillableServer
from failsoft.testing import EngineSuite, WorkerSuite
from failsoft.worker.cli.engine_kit.scaffold import rendered
from failsoft_engine_file.bench import FileBench
from failsoft_engine_file.plugin import PLUGIN

EXAMPLE = Path(__file__).parents[3] / "examples" / "failsoft_engine_file"
SOURCE = EXAMPLE / "src" / "failsoft_engine_file"
#: Both halves of an engine together.
MOST_LINES = 120


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FileBench]:
    with closing(FileBench(tmp_path)) as bench:
        yield bench


class TestFileEngine(EngineSuite):
    """The half that offers."""


class TestFileWorker(WorkerSuite):
    """The half that works."""


def test_its_server_can_be_killed_for_the_demo(tmp_path: Path) -> None:
    server = PLUGIN.embedded(tmp_path / "messages", None)

    assert isinstance(server, KillableServer)
    server.start()
    assert server.is_running
    server.kill()
    assert not server.is_running


def lines_of(path: Path) -> int:
    """Count the lines that have code: none that is empty, or only a comment or a docstring."""
    text = path.read_text()
    documented = set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documented |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(map(str.strip, text.splitlines()), start=1)
    return sum(bool(line) and line[0] != "#" and number not in documented for number, line in lines)


def test_both_halves_are_short() -> None:
    assert lines_of(SOURCE / "adapter.py") + lines_of(SOURCE / "worker.py") <= MOST_LINES


def test_the_example_is_what_the_command_makes() -> None:
    """Change the template, and run: failsoft engines new file --folder examples/..."""
    found = {str(path): (EXAMPLE / path).read_text() for path, _ in rendered("file")}

    assert found == {str(path): text for path, text in rendered("file")}


def test_the_engine_imports_one_module_of_failsoft(tmp_path: Path) -> None:
    for path, text in rendered("other-bus"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    adapter = tmp_path / "src" / "failsoft_engine_other_bus" / "adapter.py"

    kept = lint(tmp_path)
    adapter.write_text(f"{adapter.read_text()}\n\nfrom failsoft.job_engine import clock\n")
    broken = lint(tmp_path)

    assert (kept.returncode, broken.returncode) == (0, 1), kept.stdout + kept.stderr
    assert "failsoft_engine_other_bus.adapter -> failsoft.job_engine" in broken.stdout


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    path = {"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, env=path, capture_output=True, text=True, check=False
    )
