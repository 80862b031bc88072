"""A browser, and a console that is served to it."""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.console.vendor import packed
from tests.servers.processes import PATIENCE, wait_until

#: Where pictures of the story are kept, for the docs; none where it is not set.
PICTURES = os.environ.get("_FAILSOFT_TEST_PICTURES")


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    assert chromium, "expected chromium to be installed"
    # Only `make test-browser` installs it; the module is collected without it, too.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

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
