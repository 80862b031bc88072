"""Writes `docs/evidence/others-bugs.md`: bugs that others shipped, and the tests of each.

python -m tests.others_bugs.page
"""

import ast
from collections.abc import Mapping
from pathlib import Path

from tests.others_bugs.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evidence" / "others-bugs.md"

HEAD = """# Bugs that others shipped

Job systems that many trust have had these bugs. Each is a test here: what went wrong, what comes of
it, and where that is shown.

This page is written by `python -m tests.others_bugs.page`, and a test compares them. What may go
wrong around a job system, rather than in it, has [a page of its own](faults.md).
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(number, bug) for number, bug in enumerate(BUGS, 1))])


def missing(tests: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return those of the tests that are not there."""
    return [
        f"{file}::{name}"
        for file, names in tests.items()
        for name in names
        if name not in _functions(ROOT / file)
    ]


def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _section(number: int, bug: Bug) -> str:
    heading = f"{number}. **{bug.what}** ({', '.join(bug.shipped_by)}). {bug.here}."
    links = [
        f"   * [`{name}`](../../{file})" for file, names in bug.tests.items() for name in names
    ]
    return "\n".join([heading, "", *links, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
