"""The closed set of jobs that a process knows."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from failsoft.job_engine import Catalogue, declare_job
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import (
    ConfigurationError,
    DefinitionError,
    DuplicateJobError,
    MissingHandlerError,
    UnknownJobError,
)
from tests.unit.support.attempts import RETRY, Mail, define


def declared(name: str, queue: str = "default") -> AnyDefinition:
    return declare_job(name, payload=Mail, queue=queue, retry=RETRY)


def bound(name: str, queue: str = "default") -> AnyDefinition:
    return define(lambda ctx: None, name=name, queue=queue)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which modules are imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_job_is_found_by_its_name() -> None:
    job = bound("send")
    catalogue = Catalogue([job, bound("bill")])

    assert catalogue.get("send") is job
    assert "send" in catalogue
    assert "other" not in catalogue
    assert [each.name for each in catalogue] == ["send", "bill"]


def test_an_unknown_job_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownJobError, match=r"bill, send.*got 'sned'.*FAILSOFT_JOBS"):
        Catalogue([bound("send"), bound("bill")]).get("sned")


def test_an_empty_catalogue_says_that_it_is() -> None:
    with pytest.raises(UnknownJobError, match="none"):
        Catalogue().get("send")


def test_a_bound_job_takes_the_place_of_its_declaration_in_either_order() -> None:
    job = bound("send")

    assert Catalogue([declared("send"), job]).get("send") is job
    assert Catalogue([job, declared("send")]).get("send") is job


def test_the_same_job_may_be_met_twice() -> None:
    job = bound("send")

    assert list(Catalogue([job, job])) == [job]


def test_two_jobs_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateJobError, match="'send'"):
        Catalogue([bound("send"), bound("send")])


def test_two_declarations_of_one_name_that_differ_are_refused() -> None:
    with pytest.raises(DuplicateJobError, match="'send'"):
        Catalogue([declared("send"), declared("send", queue="data-sync")])


def test_a_worker_refuses_to_start_without_the_handlers_of_its_queues() -> None:
    catalogue = Catalogue([bound("send"), declared("bill"), declared("archive")])

    with pytest.raises(MissingHandlerError, match=r"queues default.*archive, bill.*bind them"):
        catalogue.require_handlers(["default"])


def test_a_worker_needs_no_handlers_of_other_queues() -> None:
    catalogue = Catalogue([bound("send"), declared("sync", queue="data-sync")])

    catalogue.require_handlers(["default", "scheduled"])


def test_jobs_are_collected_from_modules(shelf: Path) -> None:
    text = f"from {__name__} import bound\nSEND = bound('send')\nOTHER = 7\n"
    (shelf / "shelf_jobs.py").write_text(text)

    catalogue = Catalogue.from_modules(["shelf_jobs"], also=[bound("bill")])

    assert [job.name for job in catalogue] == ["bill", "send"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("this is no Python", "SyntaxError"),
    ],
)
def test_a_module_that_does_not_import_is_named_with_the_reason(
    shelf: Path, text: str, expected: str
) -> None:
    (shelf / "broken_jobs.py").write_text(text)

    with pytest.raises(ConfigurationError, match=f"'broken_jobs'.*{expected}.*FAILSOFT_JOBS"):
        Catalogue.from_modules(["broken_jobs"])


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'nowhere\.jobs'"):
        Catalogue.from_modules(["nowhere.jobs"])


def test_a_wrong_definition_in_a_module_keeps_its_own_error(shelf: Path) -> None:
    text = f"from {__name__} import declared\nX = declared('a b')\n"
    (shelf / "wrong_jobs.py").write_text(text)

    with pytest.raises(DefinitionError, match="'a b'"):
        Catalogue.from_modules(["wrong_jobs"])


def test_a_job_that_a_module_imports_from_another_counts_once() -> None:
    job = bound("send")
    modules = [ModuleType("one"), ModuleType("two")]
    for module in modules:
        module.__dict__["SEND"] = job
        sys.modules[module.__name__] = module

    try:
        assert list(Catalogue.from_modules(["one", "two"])) == [job]
    finally:
        del sys.modules["one"], sys.modules["two"]
