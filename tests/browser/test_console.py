"""The console in Chromium: no report of its policy, keys, no JavaScript, narrow screens."""

import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from failsoft.console import Actor, console
from failsoft.ledger import SqlLedger
from tests.console.conftest import Shown, Surroundings, make_ledger
from tests.console.scene import scene
from tests.servers.processes import PATIENCE, wait_until

__all__ = ["make_ledger"]
pytestmark = pytest.mark.long


@pytest.fixture
def served(make_ledger: Callable[[], SqlLedger]) -> Iterator[tuple[str, Shown]]:
    ledger = make_ledger()
    shown = Shown(Surroundings(ledger), scene(ledger))
    app = console(
        environment=shown.surroundings, authenticate=lambda request: Actor.of("ada", "admin")
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, PATIENCE, "the console serves")
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", shown
    server.should_exit = True
    server.force_exit = True
    thread.join()


@pytest.fixture
def browser() -> Iterator[object]:
    chromium = shutil.which("chromium")
    assert chromium, "expected chromium to be installed"
    # Only `make test-browser` installs it; the module is collected without it, too.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_every_screen_is_whole_in_both_themes_and_on_a_narrow_screen(
    served: tuple[str, Shown], browser: Any
) -> None:
    base, shown = served
    paths = ["/", "/jobs", f"/jobs/{shown.scene.taken_over}", "/held", "/failed", "/queues"]
    paths += ["/workers", "/engines", "/activity", "/definitions", "/schedules"]
    for scheme, width in (("light", 1360), ("dark", 1360), ("light", 360)):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page, reports = context.new_page(), list[str]()
        page.on("console", lambda said, kept=reports: kept.append(said.text))
        page.on("pageerror", lambda error, kept=reports: kept.append(str(error)))
        for path in paths:
            page.goto(base + path)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, wide)
        assert not reports
        context.close()


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
