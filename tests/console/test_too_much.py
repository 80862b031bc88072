"""Bodies, queries and values of a megabyte, and a ledger that is away."""

import json

import pytest

from failsoft.console.routes import endpoints
from failsoft.testing.ledger_suite.fixtures import claimed, offered
from tests.console.conftest import Shown

MEGABYTE = 1024 * 1024
SCREENS = [
    each
    for each in endpoints()
    if each.methods == ("GET",) and each.permission is not None and each.name != "live"
]


def path_of(shown: Shown, path: str, name: str) -> str:
    """Return the address of a screen that there is."""
    ids = {"group": shown.scene.group, "bulk": "none"}
    found = path.replace("{id}", ids.get(name, shown.scene.taken_over))
    return found.replace("{name}", "default" if "queues" in path else "send_digest")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", ""])
def test_a_body_of_a_megabyte_is_refused_and_changes_nothing(shown: Shown, kind: str) -> None:
    body = b"reason=" + b"x" * MEGABYTE
    path = f"/jobs/{shown.scene.scheduled}/cancel"

    refused = shown.client().post(path, content=body, headers={"Content-Type": kind})

    assert refused.status_code == 413
    assert shown.ledger.get(shown.scene.scheduled).state == "scheduled"


@pytest.mark.parametrize("field", ["reason", "epoch"])
def test_a_field_that_is_too_long_is_refused(shown: Shown, field: str) -> None:
    path = f"/jobs/{shown.scene.held}/resume"

    assert shown.client().post(path, data={field: "x" * 900_000}).status_code == 400
    assert shown.ledger.get(shown.scene.held).state == "held"


def test_a_place_to_return_to_that_is_too_long_is_left_out(shown: Shown) -> None:
    path = f"/jobs/{shown.scene.held}"

    done = shown.client().post(f"{path}/resume", data={"back": "/" + "x" * 900_000})

    assert done.headers["location"] == path


def test_a_query_that_is_too_long_is_refused_on_every_screen(shown: Shown) -> None:
    client = shown.client()
    for each in SCREENS:
        path = path_of(shown, each.path, each.name)
        assert client.get(f"{path}?q={'x' * 60_000}").status_code == 414, path


def test_deep_and_broken_json_is_refused(shown: Shown) -> None:
    client, headers = shown.client(), {"Content-Type": "application/json"}
    for body in (b"[" * 100_000, b'{"reason":', b"\xff\xfe", b"7", b'{"a":' * 50_000):
        path = f"/api/v1/jobs/{shown.scene.scheduled}/cancel"
        assert client.post(path, content=body, headers=headers).status_code == 400


def test_a_payload_of_a_megabyte_is_shown_in_part(shown: Shown) -> None:
    payload = json.dumps({"text": "<b>" * (MEGABYTE // 4)})
    job = offered(shown.ledger, "rq", name="big", payload=payload)
    claimed(shown.ledger, job)

    page = shown.client().get(f"/jobs/{job.id}")

    assert page.status_code == 200
    assert len(page.content) < MEGABYTE
    assert "<b>" not in page.text


@pytest.mark.parametrize("each", SCREENS, ids=[each.name for each in SCREENS])
def test_no_screen_breaks_while_the_ledger_is_away(shown: Shown, each: object) -> None:
    from failsoft.console.endpoint import Endpoint  # noqa: PLC0415 - beside its use

    assert isinstance(each, Endpoint)
    client, path = shown.client(), path_of(shown, each.path, each.name)
    query = "?action=retry&state=failed" if each.name == "bulk-new" else ""
    query = f"?action=retry&ids={shown.scene.failed}" if each.name == "selected" else query
    client.get(path + query)
    shown.surroundings.is_away = True

    away = client.get(path + query)

    assert away.status_code in {503, 303, 200}, away.status_code
    if away.status_code == 503:
        assert away.headers["retry-after"] == "2"
    assert "Traceback" not in away.text
