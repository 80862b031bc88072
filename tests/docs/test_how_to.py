"""The engine that docs/how-to/add-an-engine.md makes works as printed, and keeps every promise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import blocks_of, commands_of
from tests.docs.test_guide import exists

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-an-engine.md"
NEW = PAGE.parent / "new-application.md"


def run(*command: str, cwd: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_runs_as_printed() -> None:
    ran = run("-m", "tests.docs", str(PAGE), cwd=ROOT, path=str(ROOT))

    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", [PAGE.parent / "test-your-jobs.md", ROOT / "docs" / "index.md"])
def test_another_page_runs_as_printed(page: Path) -> None:
    ran = run("-m", "tests.docs", str(page), cwd=ROOT, path=str(ROOT))

    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("line", sorted({*commands_of(PAGE), *commands_of(NEW)}))
def test_every_command_exists(line: str) -> None:
    exists(line)


@pytest.mark.parametrize(
    "only",
    [
        pytest.param("delivered", id="delivery"),
        pytest.param("_", id="all", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_the_engine_of_the_page_keeps_its_promises(tmp_path: Path, only: str) -> None:
    *module, _ = blocks_of(PAGE)
    (tmp_path / "table_engine.py").write_text("\n".join(block.code for block in module))
    words = ("table", "--bench", "table_engine:TableBench", "--only", only)

    ran = run("-m", "failsoft.testing.engine_kit", *words, cwd=tmp_path, path=str(tmp_path))

    results = [json.loads(line) for line in ran.stdout.splitlines()]
    # The take-over is for an engine that is installed.
    broken = [each for each in results if not each["kept"] and each["suite"] != "TakeOver"]
    assert broken == []
    assert len(results) > 10, ran.stderr
