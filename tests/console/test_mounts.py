"""The console below any path, in any program: every link leads back to it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client, WSGITransport
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from failsoft.console import Actor, console, console_wsgi
from failsoft.console.access.secrets import PasswordHash
from failsoft.console.access.settings import Users
from failsoft.console.settings import ConsoleSettings
from tests.console.conftest import Shown

LINK = re.compile(r'(?:href|src|action|hx-get|hx-sse:connect)="(/[^"]*)"')
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "console.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def ada(request: Any) -> Actor:
    return Actor.of("ada", "admin")


def expect_links_below(client: Any, prefix: str, shown: Shown) -> None:
    """Follow every link of some screens: all are below the prefix, and all lead to a page."""
    links: set[str] = set()
    for path in ("/", "/jobs", f"/jobs/{shown.scene.taken_over}", "/waits", "/limits"):
        answer = client.get(f"{prefix}{path}")
        assert answer.status_code == 200, path
        links |= {found.replace("&amp;", "&") for found in LINK.findall(answer.text)}
    assert len(links) > 30
    for link in links:
        assert link.startswith(f"{prefix}/"), link
    for link in sorted(links)[:: max(1, len(links) // 12)]:
        if not any(each in link for each in ("/live", "/bulk", "/selected", "/logout")):
            assert client.get(link, follow_redirects=True).status_code in {200, 405}, link


@pytest.mark.parametrize("prefix", ["", "/x", "/x/y"])
def test_a_mounted_console_links_to_itself(shown: Shown, prefix: str) -> None:
    inner = console(environment=shown.surroundings, authenticate=ada)
    app = Starlette(routes=[Mount(f"{prefix}/", inner)]) if prefix else inner

    expect_links_below(TestClient(app), prefix, shown)


@pytest.mark.parametrize("prefix", ["", "/x", "/x/y"])
def test_a_console_in_a_wsgi_program_links_to_itself(shown: Shown, prefix: str) -> None:
    app = console_wsgi(environment=shown.surroundings, authenticate=ada)

    def mounted(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        assert path.startswith(prefix), path
        inner = {"SCRIPT_NAME": prefix, "PATH_INFO": path.removeprefix(prefix)}
        return app({**environ, **inner}, start_response)

    client = Client(transport=WSGITransport(mounted), base_url="http://testserver")
    expect_links_below(client, prefix, shown)
    assert "hx-sse" not in client.get(f"{prefix}/").text


def test_a_prefix_that_a_proxy_cuts_off_is_put_back_where_a_login_is_needed(shown: Shown) -> None:
    users = Users.read(f"ada:{PasswordHash.of('horse')}:admin", "")
    shown.surroundings.settings = ConsoleSettings(users=users)
    client = TestClient(console(environment=shown.surroundings))
    headers = {"X-Forwarded-Prefix": "/tools/jobs"}

    page = client.get("/", headers=headers, auth=("ada", "horse")).text
    links = LINK.findall(page)
    assert links
    assert all(link.startswith("/tools/jobs/") for link in links)
    for wrong in ("//evil.example", "javascript:x", "/a b", '/"x'):
        page = client.get("/", headers={"X-Forwarded-Prefix": wrong}, auth=("ada", "horse")).text
        assert all(re.match(r"/[a-z?.]|/$", link) for link in LINK.findall(page))
        assert "evil.example" not in page


@pytest.fixture
def program(
    monkeypatch: pytest.MonkeyPatch, shown: Shown, request: pytest.FixtureRequest
) -> Mapping[str, Any]:
    """Run a program of the page with the ledger of the scene in its settings."""
    url = str(shown.ledger.database.url)
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", url)
    monkeypatch.setenv("FAILSOFT_CONSOLE", "true")
    if "django" in request.param:
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.contrib.django.project.settings")
    found: dict[str, Any] = {"__name__": __name__}
    # Those that follow use the function of the first one.
    for code in dict.fromkeys((PROGRAMS[0], request.param)):
        exec(compile(code, str(PAGE), "exec"), found)  # noqa: S102 - our own page
    return found


@pytest.mark.parametrize("program", PROGRAMS, indirect=True, ids=["fastapi", "flask", "django"])
def test_a_program_of_the_page_lets_its_staff_in_and_nobody_else(
    program: Mapping[str, Any],
) -> None:
    if (flask_app := program.get("flask_app")) is not None:
        client: Any = Client(transport=WSGITransport(flask_app), base_url="http://localhost")
    else:
        client = TestClient(program.get("application") or program["app"])

    assert client.get("/admin/queues/healthz").status_code == 200
    assert client.get("/admin/queues/jobs").status_code == 401
