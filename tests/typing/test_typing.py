"""mypy and pyright accept what is right and refuse what is marked as wrong, line by line.

`make check` runs it, beside the other checks of types.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
MYPY = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: ", re.MULTILINE)

Lines = set[tuple[str, int]]


def expected() -> Lines:
    return {
        (file.name, number)
        for file in CASES.glob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "# error: " in line
    }


def of_mypy() -> Lines:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(CASES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return {(Path(m["file"]).name, int(m["line"])) for m in MYPY.finditer(done.stdout)}


def of_pyright() -> Lines:
    # A project of its own: the one of the repository leaves the tests out.
    options = {
        "include": [str(CASES)],
        "extraPaths": [str(path) for path in sorted(ROOT.glob("*/*/src"))],
        "venvPath": str(ROOT),
        "venv": ".venv",
    }
    project = CASES.parent / ".pyright.json"
    project.write_text(json.dumps(options))
    try:
        command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(project)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        project.unlink()
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in found
        if each["severity"] == "error"
    }


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tool", [of_mypy, of_pyright], ids=["mypy", "pyright"])
def test_a_type_checker_finds_what_is_wrong_and_nothing_else(tool: Callable[[], Lines]) -> None:
    assert tool() == expected()
