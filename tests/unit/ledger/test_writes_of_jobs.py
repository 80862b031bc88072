"""Every statement that inserts or changes jobs stands in `transitions/`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import failsoft.ledger

LEDGER = Path(failsoft.ledger.__file__).parent
SQL = re.compile(r'(UPDATE|INTO)\s+"?failsoft_jobs\b', re.IGNORECASE)


def writes(source: str) -> Iterator[int]:
    """Find the lines of calls such as `update(jobs)` and `jobs.insert()`, and of such SQL."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and SQL.search(str(node.value)):
            yield node.lineno
        elif isinstance(node, ast.Call) and _name(node.func).startswith(("update", "insert")):
            # The table is an argument, or what the method belongs to.
            tables = [*node.args, *ast.iter_child_nodes(node.func)]
            if "jobs" in map(_name, tables):
                yield node.lineno


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_no_module_outside_transitions_writes_jobs() -> None:
    found = {
        str(path.relative_to(LEDGER)): lines
        for path in sorted(LEDGER.rglob("*.py"))
        if (lines := list(writes(path.read_text())))
    }

    assert {Path(path).parts[0] for path in found} == {"transitions"}, found


@pytest.mark.parametrize(
    "source",
    [
        "update(jobs).where(x)",
        "tables.jobs.update()",
        "insert_into(name, jobs)",
        "sqlite.insert(tables.jobs)",
        "jobs.insert()",
        "text('UPDATE failsoft_jobs SET state = 1')",
        "text('INSERT INTO failsoft_jobs (id) VALUES (1)')",
    ],
)
def test_a_write_is_found(source: str) -> None:
    assert list(writes(source)) == [1]
