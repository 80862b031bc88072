"""A module has the jobs that it imports, however it imports them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from failsoft.job_engine import Catalogue

JOBS = """
from pydantic import BaseModel
from failsoft.job_engine import JobContext, job

class Nothing(BaseModel): pass

@job(name="{name}")
def work(payload: Nothing, ctx: JobContext) -> None: ...
"""

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module that can be imported in this test only."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> None:
        path = tmp_path.joinpath(*name.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(tmp_path).parents:
            (tmp_path / folder / "__init__.py").touch()
        path.with_suffix(".py").write_text(text)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def names(*modules: str) -> set[str]:
    return {job.name for job in Catalogue.from_modules(modules)}


@pytest.mark.parametrize(
    "text",
    [
        "import orders_a.jobs",
        "import orders_a.jobs as theirs",
        "from orders_a import jobs",
        "from orders_a.jobs import work",
        "import importlib\nfor name in ['jobs']: importlib.import_module(f'orders_a.{name}')",
        "import indirect_a",
    ],
)
def test_imports_count_as_registration(write: Write, text: str) -> None:
    write("orders_a.jobs", JOBS.format(name="ship"))
    write("indirect_a", "import orders_a.jobs")
    write("site_a", text)

    catalogue = Catalogue.from_modules(["site_a"])

    assert [job.name for job in catalogue] == ["ship"]
    assert catalogue.empty_modules == ()
    # A second look in the same process, when nothing is imported any more.
    assert names("site_a") == {"ship"}


def test_what_was_imported_before_counts_too(write: Write) -> None:
    write("orders_b.jobs", JOBS.format(name="ship"))
    write("site_b", "import orders_b.jobs")

    catalogue = Catalogue.from_modules(["orders_b.jobs", "site_b"])

    assert [job.name for job in catalogue] == ["ship"]
    assert catalogue.empty_modules == ()


def test_an_object_that_loads_itself_when_used_is_left_alone(write: Write) -> None:
    lazy = (
        "class Lazy:\n"
        "    @property\n"
        "    def __class__(self):\n"
        "        raise LookupError('it is not set up')\n"
        "lazy = Lazy()\n"
    )
    write("orders_lazy", JOBS.format(name="ship") + lazy)

    assert names("orders_lazy") == {"ship"}


def test_a_module_without_jobs_is_named_and_adds_none(write: Write) -> None:
    write("orders_c.jobs", JOBS.format(name="ship"))
    write("empty_c", "import json\nfrom failsoft.job_engine import job")

    catalogue = Catalogue.from_modules(["orders_c.jobs", "empty_c"])

    assert [job.name for job in catalogue] == ["ship"]
    assert catalogue.empty_modules == ("empty_c",)
