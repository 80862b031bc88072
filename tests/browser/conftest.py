"""A browser, and a console that is served to it."""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.console.vendor import packed
from tests.deployments.deployment import SHORT_INTERVALS, Deployment, opened
from tests.deployments.effect_log import FILE
from tests.servers.processes import PATIENCE, Processes, wait_until
from tests.servers.valkey import Valkey

#: Where pictures of the story are kept, for the docs; none where it is not set.
PICTURES = os.environ.get("_FAILSOFT_TEST_PICTURES")

DESK = {"width": 1360, "height": 860}


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a console, and give its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, PATIENCE, "the console serves")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        # Streams of open pages end with it.
        server.should_exit = server.force_exit = True
        thread.join()


# Not for the session: the thread has a loop meanwhile, and no other test could run one of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert chromium, "expected chromium, got none; run tests/servers/install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


#: What finds barriers in pages; its licence, MPL-2.0, is in the package that it is taken from.
AXE = ("axe-core", "4.14.1", "axe.min.js")
AXE_DIGEST = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, taken by its digest; nothing of it is kept here."""
    found = packed(*AXE)
    assert hashlib.sha256(found).hexdigest() == AXE_DIGEST
    return found.decode()


class Camera:
    """Takes pictures of pages where they are wanted."""

    def take(self, page: Any, name: str) -> None:
        """Keep what a page shows."""
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{name}.png", animations="disabled")


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
def settings(
    valkey: Valkey, second_valkey: Valkey, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ on one server, Dramatiq on another, and a console's settings."""
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
    variables = {
        **SHORT_INTERVALS,
        "FAILSOFT_LEDGER_URL": sqlite_url,
        "FAILSOFT_REDIS_URL": valkey.url,
        "FAILSOFT_AMQP_URL": second_valkey.url,
        "FAILSOFT_JOBS": "tests.browser.story_jobs",
        "FAILSOFT_CONSOLE_TITLE": "shop, production",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def shop(
    settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: Processes
) -> Iterator[Deployment]:
    monkeypatch.setenv(FILE, str(tmp_path / "effect_log"))
    with opened(processes) as deployment:
        yield deployment


def cancel_all(page: Any, reason: str) -> None:
    """Cancel everything that a list shows, by the number that the page says."""
    page.click("text=/Cancel all/")
    number = page.text_content("label:has(input[name=typed])").split()[1]
    page.fill("input[name=typed]", number)
    page.fill("input[name=reason]", reason)
    page.click("form.sheet button")
