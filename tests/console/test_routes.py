"""Every route, with every role and without a login, answers as its permission says."""

import re

import pytest

from failsoft.console.access.roles import ROLES
from failsoft.console.endpoint import Endpoint
from failsoft.console.routes import endpoints
from tests.console.conftest import Shown

ROUTES = [each for each in endpoints() if not each.is_api]
API = [each for each in endpoints() if each.is_api]


def _path(shown: Shown, endpoint: Endpoint) -> str:
    ids = {"group": shown.scene.group, "raw": shown.scene.failed}
    job_id = ids.get(endpoint.name, shown.scene.failed)
    name = "default" if "queue" in endpoint.path else "send_digest"
    path = endpoint.path.replace("{id}", job_id).replace("{name}", name)
    return f"{path}?action=retry&state=failed" if endpoint.name == "bulk-new" else path


def test_the_api_demands_what_the_screens_demand() -> None:
    screens = {each.name: each.permission for each in ROUTES}

    for each in API:
        twin = screens.get(each.name.removeprefix("api-"))
        assert each.permission is not None
        assert twin is None or each.permission == twin


@pytest.mark.parametrize("role", [None, *ROLES])
def test_a_route_lets_in_whom_its_permission_names_and_nobody_else(
    shown: Shown, role: str | None
) -> None:
    client = shown.client(role)
    for each in endpoints():
        if each.name == "live":
            continue
        status = client.request(each.methods[0], _path(shown, each)).status_code
        if each.permission is None:
            assert status in {200, 303, 404}, (each.name, status)
        elif role is None:
            assert status == 401, (each.name, status)
        elif each.permission not in ROLES[role]:
            assert status == 403, (each.name, status)
        elif each.name != "logout":
            assert status not in {401, 403, 500}, (each.name, status)


@pytest.mark.parametrize("prefix", ["", "/x", "/x/y"])
def test_every_link_stays_below_the_place_where_the_console_is_mounted(
    shown: Shown, prefix: str
) -> None:
    client = shown.client(prefix=prefix)
    for path in ("/", "/jobs", f"/jobs/{shown.scene.taken_over}", "/held", "/failed"):
        page = client.get(path).text
        for found in re.findall(r'(?:href|src|action|hx-get|hx-sse:connect)="(/[^"]*)"', page):
            assert found.startswith(f"{prefix}/"), found


def test_no_page_has_a_style_or_a_script_of_its_own(shown: Shown) -> None:
    client = shown.client()
    for each in ROUTES:
        if "GET" in each.methods and each.name not in {"live", "static"}:
            page = client.get(_path(shown, each))
            assert " style=" not in page.text, each.name
            assert not re.search(r"<script(?![^>]*(src=|application/json))", page.text), each.name
            assert not re.search(r"\son\w+=", page.text), each.name
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "unsafe" not in page.headers["content-security-policy"]


def test_a_console_that_is_off_answers_404_to_everything(shown: Shown) -> None:
    from failsoft.console.settings import ConsoleSettings  # noqa: PLC0415 - beside its use

    shown.surroundings.settings = ConsoleSettings(enabled=False)
    client = shown.client()

    assert {client.get(path).status_code for path in ("/", "/jobs", "/healthz", "/nothing")} == {
        404
    }


def test_a_read_only_console_lets_nobody_change_anything(shown: Shown) -> None:
    from failsoft.console.settings import ConsoleSettings  # noqa: PLC0415 - beside its use

    shown.surroundings.settings = ConsoleSettings(read_only=True)
    client = shown.client("admin")

    assert client.post(f"/jobs/{shown.scene.scheduled}/cancel").status_code == 403
    assert client.get("/jobs").status_code == 200
