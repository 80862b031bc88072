"""One way in: `failsoft.api` is what a program imports, and the guide imports nothing else."""

import inspect
import re
from pathlib import Path

import pytest

import failsoft.dispatcher
import failsoft.job_engine
from failsoft import api
from failsoft.job_engine import errors
from tests.unit.support.imports import loaded_by

ROOT = Path(__file__).parents[3]
PAGES = (
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/how-to/jobs/*.md")),
    *ROOT.glob("docs/how-to/*.md"),
)
IMPORT = re.compile(r"\b(?:from|import) (failsoft[\w.]*)")
#: What programs may import, and the authors of engines.
PUBLIC = (
    r"api|engine_api|testing(\.engine_kit(\.promises)?)?|job_engine\.jobs\.[\w.]+"
    r"|engines\.kafka"  # what Kafka alone has: `consumes` and `produce`
    r"|testkit(\.session)?"  # the tests of a program
    r"|adoption\.(rq|dramatiq|celery)"  # in place of an entrance of another queue
    r"|console"  # what is mounted
    r"|telemetry"  # what switches traces on
    r"|ledger\.upgrade"  # the revisions of the ledger
)
ALLOWED = re.compile(rf"failsoft\.({PUBLIC}|contrib\.\w+)")
#: What a worker is put together from.
OF_WORKERS = {"Catalogue", "Executor"}
#: A name in backticks, after which a docstring may show its use or its plural.
NAMED = re.compile(r"`(\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_imports_from_the_public_modules_only(page: Path) -> None:
    found = IMPORT.findall(page.read_text())

    assert [each for each in found if not ALLOWED.fullmatch(each)] == []


def test_the_guide_and_the_readme_use_it() -> None:
    using = [page.stem for page in PAGES if "from failsoft.api import" in page.read_text()]

    assert {"README", "steps", "dispatching"} <= set(using)


def test_every_public_error_is_in_it() -> None:
    public = {
        name
        for name, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.FailsoftError)
    }

    assert public <= set(api.__all__)


def test_it_has_what_the_packages_below_it_offer_to_programs() -> None:
    offered = {*failsoft.job_engine.__all__, *failsoft.dispatcher.__all__}

    assert offered - OF_WORKERS <= set(api.__all__)


def test_its_docstring_names_everything_but_each_error() -> None:
    assert api.__doc__ is not None
    named = set(NAMED.findall(api.__doc__))
    plain = {name for name in api.__all__ if not name.endswith("Error")}

    assert plain <= named
    assert {name for name in named if name.endswith("Error")} <= set(api.__all__)


def test_it_loads_no_module_that_the_packages_below_it_do_not() -> None:
    below = loaded_by("import failsoft.dispatcher, failsoft.job_engine")

    assert loaded_by("import failsoft.api") - below == {"failsoft.api"}
