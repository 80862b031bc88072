"""Writes `docs/evidence/faults.md`: for each fault of the matrix, the tests that carry its id.

python -m tests.faults.table
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.faults.matrix import MATRIX, Fault

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "evidence" / "faults.md"

HEAD = """# The fault matrix

What goes wrong, what must come of it, and the tests that show it, each on real processes and
servers. A test carries the id of its fault as `@pytest.mark.fault("F01")`; run those of one fault
by its tests' names, those that take minutes with `make test ARGS="-m long"`.

This page is written by `python -m tests.faults.table`, and a test compares them.
"""


def marked() -> Mapping[str, list[str]]:
    """Find the tests of each fault id, by reading the sources."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, fault in _marks(ast.parse(path.read_text())):
            found[fault].append(f"{path.relative_to(TESTS.parent)}::{name}")
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    of_all = list(_faults(_marks_of_all(module)))
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef):
            inherited = of_all if node.name.startswith("test_") else []
            for fault in dict.fromkeys([*inherited, *_faults(node.decorator_list)]):
                yield node.name, fault


def _marks_of_all(module: ast.Module) -> Iterator[ast.expr]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            yield from node.value.elts if isinstance(node.value, ast.List) else [node.value]


def _faults(marks: Iterable[ast.expr]) -> Iterator[str]:
    for mark in marks:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(each) for each in mark.args)


def page() -> str:
    """Return the whole page."""
    tests = marked()
    return "\n".join([HEAD, *(_section(fault, tests.get(fault.id, [])) for fault in MATRIX)])


def _section(fault: Fault, tests: list[str]) -> str:
    lines = [f"## {fault.id}: {fault.what}", "", f"{fault.expected}.", ""]
    if fault.remark:
        lines += [fault.remark, ""]
    return "\n".join([*lines, *map(_link, tests), ""])


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"* [`{name}`](../../{file})"


if __name__ == "__main__":
    PAGE.write_text(page())
