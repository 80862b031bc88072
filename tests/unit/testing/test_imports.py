"""The names of `failsoft.testing` are imported at their first use."""

import importlib

import pytest

import failsoft.testing
from failsoft.dispatcher.plugins.discovery import GROUP
from tests.unit.support.imports import loaded_by


def test_the_memory_engine_loads_neither_the_memory_ledger_nor_a_suite() -> None:
    found = loaded_by(
        "from importlib.metadata import entry_points\n"
        f"(entry,) = entry_points(group={GROUP!r}, name='memory')\n"
        "entry.load()"
    )

    assert {each for each in found if each.startswith("failsoft.testing")} == {
        "failsoft.testing",
        "failsoft.testing.memory_engine",
    }


@pytest.mark.parametrize("name", failsoft.testing.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(importlib.import_module("failsoft.testing"), name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'MemoryLegder'"):
        getattr(failsoft.testing, "MemoryLegder")  # noqa: B009 - a name that no type checker accepts
