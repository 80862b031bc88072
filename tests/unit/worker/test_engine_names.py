"""Which engines there are, the core learns from their plug-ins: it names none."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: The engines that are distributions here. The ledger is more than an engine: its word stands
#: everywhere.
KINDS = sorted({path.name for path in (ROOT / "engines").iterdir() if path.is_dir()} - {"ledger"})
WORD = re.compile(rf"\b(?:{'|'.join(KINDS)})\b")
CODE = [
    path
    for folder in ("packages/job_engine", "packages/ledger", "packages/dispatcher", "apps/worker")
    for path in sorted((ROOT / folder / "src").rglob("*.py"))
]
#: What may name one, and why.
ALLOWED = {
    "worker/configuration/settings.py": {
        "rq",  # what FAILSOFT_ENGINES is without a value, and what USE_RQ switches
        "dramatiq",
    },
    "dispatcher/plugins/discovery.py": {"rq"},  # an example in a message
    "job_engine/error_codes.py": {"celery"},  # the module of an error
    # The queues that people come from, which need be no engine here.
    "worker/cli/adopt.py": {"rq", "dramatiq", "celery"},
    "worker/cli/__init__.py": {"rq", "dramatiq", "celery"},
}


def constants(code: str) -> Iterator[str]:
    """Return the texts of a module that are no docstrings."""
    tree = ast.parse(code)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def named(code: str) -> set[str]:
    return {found for text in constants(code) for found in WORD.findall(text.lower())}


def allowed(path: Path) -> set[str]:
    return next((kinds for end, kinds in ALLOWED.items() if str(path).endswith(end)), set())


def test_no_module_names_an_engine() -> None:
    found = {str(path.relative_to(ROOT)): named(path.read_text()) - allowed(path) for path in CODE}

    assert len(CODE) > 300
    assert {path: kinds for path, kinds in found.items() if kinds} == {}


@pytest.mark.parametrize("end", ALLOWED)
def test_what_is_allowed_to_name_one_does(end: str) -> None:
    (path,) = [each for each in CODE if str(each).endswith(end)]

    assert named(path.read_text()) == ALLOWED[end]


def test_the_services_of_compose_start_the_engines_of_the_settings() -> None:
    commands = re.findall(r"command: failsoft (.*)", (ROOT / "compose.yaml").read_text())

    assert "worker all" in commands
    assert not [each for each in commands if WORD.search(each)]


def test_a_name_in_code_is_found_and_one_in_words_about_it_is_not() -> None:
    assert named('"""Of rq."""\nENGINES = ("rq", "Dramatiq\'s")  # not kafka\n') == {
        "rq",
        "dramatiq",
    }
