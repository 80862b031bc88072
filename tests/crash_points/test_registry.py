"""The registry of crash points, the product and the matrix name the same points."""

import ast
import re
from pathlib import Path

import pytest

from failsoft.job_engine.crash_points import COMMITS, DEEDS, HOOKS, POINTS
from tests.crash_points.cells import ACTIONS, MATRIX
from tests.crash_points.scenarios import SCENARIOS
from tests.crash_points.test_matrix import DISPATCHING, of, waves_of

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("packages", "engines", "apps")
    for path in ROOT.glob(f"{folder}/*/src/**/*.py")
]
REACHED = re.compile(r'\breached\("([a-z]+\.[a-z]+)"\)')
#: What the ledger writes in the name of attempts and offers, and where that is.
WRITERS = (
    *("roles/attempts.py", "roles/offers.py", "roles/dispatch.py"),
    *("upkeep/expiry.py", "upkeep/hand_over.py"),
)
#: What became of offers, how far a job has come, and a crash that was charged for an outage of the
#: ledger: no state, and no promise hangs on it.
UNNAMED = {"note_tries", "note_progress", "uncharge"}


def test_every_point_has_its_cells_and_its_scenario() -> None:
    assert len(MATRIX) == len(POINTS) * len(ACTIONS) - 2
    assert set(SCENARIOS) == {*COMMITS, *DEEDS}


def test_every_deed_is_reached_before_and_after() -> None:
    reached = {name for path in SOURCES for name in REACHED.findall(path.read_text())}

    assert reached == {f"{deed}.{side}" for deed in DEEDS for side in ("before", "after")}


def test_every_commit_has_a_name() -> None:
    assert sum(str(path).endswith(WRITERS) for path in SOURCES) == len(WRITERS)
    unnamed = {
        function.name
        for path in SOURCES
        if str(path).endswith(WRITERS)
        for function in functions(path)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and writes(call) and len(call.args) < 2
    }

    assert unnamed == UNNAMED


@pytest.mark.parametrize("action", ACTIONS)
def test_no_dispatch_of_a_wave_meets_the_misfortune_of_another(action: str) -> None:
    """Else the process that dies at the one point would never come to the other."""
    for wave in waves_of(of(action)):
        assert len([cell for cell in wave if cell.place in DISPATCHING]) <= 1


def functions(path: Path) -> list[ast.FunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]


def writes(call: ast.Call) -> bool:
    return ast.unparse(call.func) in {"self._database.write", "self._database.write_one"}


def test_nothing_happens_at_a_point_by_default() -> None:
    assert HOOKS == []
