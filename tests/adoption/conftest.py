"""Functions of an app are allowed, and what they did is forgotten before each test."""

import importlib
import sys
from collections.abc import Iterator

import pytest

from failsoft.job_engine.definitions.callables import allow_callables, allowed_modules
from tests.adoption.apps import shop

SHOP = "tests.adoption.apps.shop"
#: Collects the functions of the modules that are allowed when it is imported.
COLLECTS = "failsoft.adoption.rq.jobs"


@pytest.fixture(autouse=True)
def allowed() -> Iterator[None]:
    before = allowed_modules()
    allow_callables([SHOP])
    _collect_again()
    yield
    allow_callables(before)


@pytest.fixture(autouse=True)
def done() -> Iterator[list[object]]:
    shop.done.clear()
    yield shop.done
    shop.done.clear()


def _collect_again() -> None:
    """Import the jobs anew where another test has done so with other modules allowed."""
    early = sys.modules.get(COLLECTS)
    if early is not None and not any(SHOP in path for path in early._callables._functions):
        importlib.reload(early)
