"""The names of `failsoft.testkit` are imported at their first use."""

import importlib

import pytest

import failsoft.testkit


@pytest.mark.parametrize("name", failsoft.testkit.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(importlib.import_module("failsoft.testkit"), name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Testkitt'"):
        getattr(failsoft.testkit, "Testkitt")  # noqa: B009 - a name that no type checker accepts
