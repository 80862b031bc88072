"""The site of the documentation in Chromium: axe finds no barrier on ten of its pages."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.browser.conftest import axe, browser, serving
from tests.docs.paths import ROOT

__all__ = ["axe", "browser"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

#: Pages with all that pages are made of: code, tables, pictures, charts, diagrams, long ones.
PAGES = (
    "",
    "tutorial/3-kill-redis/",
    "how-to/console/",
    "how-to/jobs/steps/",
    "reference/commands/",
    "reference/settings/",
    "explain/architecture/",
    "explain/compared-with/",
    "explain/performance/",
    "evidence/",
)


#: The theme makes a nav of the button beside each block of code, and gives none a name.
RUN = 'axe.run({exclude: [".md-code__nav"]}).then((found) => found.violations)'


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the site, built as `make docs` builds it."""
    built = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    files = StaticFiles(directory=ROOT / "site", html=True)
    with serving(Starlette(routes=[Mount("/", files)])) as base:
        yield base


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier_that_axe_finds(
    site: str, browser: Any, axe: str, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)
    page, barriers = context.new_page(), dict[str, Any]()
    for path in PAGES:
        assert page.goto(f"{site}/{path}").ok, path
        page.evaluate(axe)
        found = page.evaluate(RUN)
        barriers |= {f"{path} {each['id']}": _where(each) for each in found}
    context.close()

    assert not barriers


def _where(barrier: Any) -> list[str]:
    return [node["html"][:200] for node in barrier["nodes"][:3]]
