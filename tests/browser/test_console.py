"""The console in Chromium: no report of its policy, keys, no JavaScript, narrow screens."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from failsoft.console import Actor, console
from failsoft.console.routes import endpoints
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from tests.browser.conftest import serving
from tests.console.conftest import Shown, Surroundings, make_ledger
from tests.console.scene import scene

__all__ = ["make_ledger"]
pytestmark = pytest.mark.long


@pytest.fixture
def served(make_ledger: Callable[[], SqlLedger]) -> Iterator[tuple[str, Shown]]:
    ledger = make_ledger()
    shown = Shown(Surroundings(ledger), scene(ledger))
    app = console(
        environment=shown.surroundings, authenticate=lambda request: Actor.of("ada", "admin")
    )
    with serving(app) as base:
        yield base, shown


def screens(shown: Shown) -> list[str]:
    """Return the paths of every screen of the table of routes, and of lists with other looks."""
    ids = {"group": shown.scene.group, "chain": shown.scene.taken_over}
    found = ["/jobs?state=failed", "/jobs?q=state:lost", f"/jobs/{shown.scene.taken_over}", "/none"]
    for each in endpoints():
        if each.methods == ("GET",) and not each.is_api and each.name not in NO_SCREENS:
            job_id = ids.get(each.name, shown.scene.held)
            name = "default" if "queues" in each.path else "send_digest"
            path = each.path.replace("{id}", job_id).replace("{name}", name)
            found.append(path + QUERIES.get(each.name, "").replace("ID", shown.scene.failed))
    return found


#: Routes that answer with no page of their own; a bulk has one of its own below.
NO_SCREENS = {"live", "static", "robots", "healthz", "login", "raw", "search", "bulk"}
QUERIES = {"bulk-new": "?action=retry&state=failed", "selected": "?action=retry&ids=ID"}


@pytest.mark.parametrize("width", [1360, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_fits_and_has_no_barrier_that_axe_finds(  # noqa: PLR0917 - two of a table
    served: tuple[str, Shown], browser: Any, axe: str, scheme: str, width: int
) -> None:
    base, shown = served
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, reports, barriers = context.new_page(), list[str](), dict[str, Any]()
    page.on("console", lambda said: reports.append(said.text))
    page.on("pageerror", lambda error: reports.append(str(error)))
    for path in screens(shown):
        page.goto(base + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)
        page.evaluate(axe)
        found = page.evaluate("axe.run().then((found) => found.violations)")
        barriers |= {f"{path} {each['id']}": _where(each) for each in found}
    context.close()

    assert not barriers
    # The browser itself says that one of the pages was not found, and that one was refused.
    assert all("status of 40" in said for said in reports), reports


def _where(barrier: Any) -> list[str]:
    return [node["html"][:200] for node in barrier["nodes"][:3]]


def test_a_job_is_found_and_cancelled_by_keys_alone(
    served: tuple[str, Shown], browser: Any
) -> None:
    base, shown = served
    page = browser.new_page()
    page.goto(f"{base}/jobs")
    page.keyboard.press("/")
    page.keyboard.type(shown.scene.scheduled)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/jobs/{shown.scene.scheduled}")
    page.keyboard.press("c")
    page.keyboard.type("a typo")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]")

    assert shown.ledger.get(shown.scene.scheduled).state == "cancelled"


def test_without_javascript_a_job_is_retried(served: tuple[str, Shown], browser: Any) -> None:
    base, shown = served
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{base}/jobs/{shown.scene.failed}")
    page.click("details[data-action=retry] summary")
    page.click("details[data-action=retry] button")

    assert shown.ledger.again(shown.scene.failed)


def test_without_javascript_rows_are_selected_and_cancelled(
    served: tuple[str, Shown], browser: Any
) -> None:
    base, shown = served
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{base}/jobs?state=scheduled&name=send_digest")
    boxes = page.locator("input[name=ids]")
    for place in range(2):
        boxes.nth(place).check()
    page.click("button[data-selection=cancel]")
    page.fill("input[name=reason]", "not today")
    page.click("form.sheet button")
    page.wait_for_selector("[role=status]:has-text('2 jobs')")

    assert shown.ledger.count({"states": (JobState.CANCELLED,)}).number == 3


def test_rows_are_selected_and_retried_by_keys_alone(
    served: tuple[str, Shown], browser: Any
) -> None:
    base, shown = served
    page = browser.new_page()
    page.goto(f"{base}/jobs?state=failed")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    page.wait_for_selector("#selected:has-text('2 selected')")
    page.keyboard.press("r")
    page.wait_for_url("**/selected?*")
    page.keyboard.type("the server is back")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]:has-text('2 jobs are done again')")

    done = [job_id for job_id in shown.scene.all_failed if shown.ledger.again(job_id)]
    assert len(done) == 2


def test_every_control_of_a_job_is_reached_by_tab(served: tuple[str, Shown], browser: Any) -> None:
    base, shown = served
    page = browser.new_page()
    page.goto(f"{base}/jobs/{shown.scene.failed}")
    page.keyboard.press("p")  # nothing is replaced while it is counted
    wanted = page.evaluate(CONTROLS)
    reached = set()
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(PLACE))

    assert wanted > 20
    assert reached - {-1} == set(range(wanted))


#: Everything that can be used and is shown, numbered; and the number of what has the focus.
CONTROLS = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
    .filter((each) => each.checkVisibility() && each.type !== "hidden");
  all.forEach((each, place) => { each.dataset.place = place; });
  return all.length;
}"""
PLACE = "() => Number(document.activeElement.dataset.place ?? -1)"
