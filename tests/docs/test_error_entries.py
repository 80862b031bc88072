"""Every public error has a code of its own and an entry with it, and no entry is without one."""

import importlib
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from failsoft.job_engine.error_codes import CODES, RETIRED
from failsoft.job_engine.errors import FailsoftError, NonRetryableError
from failsoft.job_engine.records.error_record import ErrorRecord
from tests.docs.paths import ROOT, source_folders
from tests.docs.reference import error_classes, error_entries, error_page

_CLASS = re.compile(r"^class ([A-Z]\w*)\(", re.MULTILINE)


def defined() -> Iterator[type[FailsoftError]]:
    """Every public error that a module of the packages, the engines or the worker defines."""
    for folder in {*source_folders()} - {ROOT}:
        for path in folder.rglob("*.py"):
            names = [each for each in _CLASS.findall(path.read_text()) if each.endswith("Error")]
            if not names or "template" in path.parts:
                continue
            parts = path.relative_to(folder.parent).with_suffix("").parts
            module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
            found = [getattr(module, name) for name in names]
            yield from (each for each in found if issubclass(each, FailsoftError))


def test_every_error_has_a_code() -> None:
    names = {f"{each.__module__}.{each.__qualname__}" for each in defined()}

    assert len(names) > 50
    assert names == {*CODES}


def test_a_code_is_of_one_class_and_is_not_given_again() -> None:
    assert [code for code, times in Counter(CODES.values()).items() if times > 1] == []
    assert [*CODES.values()] == sorted(CODES.values())
    assert not {*CODES.values()} & RETIRED
    assert all(re.fullmatch(r"FS-\d{3}", each) for each in (*CODES.values(), *RETIRED))
    # A number that is left out would be taken by the next class.
    assert {int(each[3:]) for each in (*CODES.values(), *RETIRED)} == {
        *range(1, len(CODES) + len(RETIRED) + 1)
    }


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_an_error_has_its_entry(kind: type[FailsoftError]) -> None:
    _, _, entry = error_page().partition(f"\n## {kind.code}\n")
    entry = entry.partition("\n## ")[0]

    assert f"`{kind.__name__}`" in entry
    for part in ("Cause", "Meaning", "What to do"):
        assert re.search(rf"^- \*\*{part}\*\*: .{{20,}}[.!]$", entry, re.MULTILINE), part


def test_no_entry_is_without_a_class() -> None:
    assert [*error_entries()] == [*CODES.values()]


def test_a_class_of_an_application_has_the_code_of_its_kind() -> None:
    class BlockedError(NonRetryableError):
        """No more."""

    assert BlockedError.code == NonRetryableError.code == "FS-050"
    assert ErrorRecord.of(NonRetryableError()).code == "FS-050"
    assert ErrorRecord.of(BlockedError()).code is None
