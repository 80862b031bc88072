"""Who is let in: this machine alone, users, tokens, and the program that holds the console."""

import base64
from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from failsoft.console import console
from failsoft.console.access.failed_logins import MOST, FailedLogins
from failsoft.console.access.secrets import PasswordHash, token_hash
from failsoft.console.access.settings import Users
from failsoft.console.settings import ConsoleSettings
from failsoft.job_engine.errors import ConfigurationError
from tests.console.conftest import Shown

LOCAL = ("127.0.0.1", 50_000)


def _client(app: Starlette, client: tuple[str, int] = LOCAL, host: str = "localhost") -> TestClient:
    return TestClient(app, base_url=f"http://{host}", client=client, follow_redirects=False)


def _named(shown: Shown) -> TestClient:
    users = f"ada:{PasswordHash.of('correct horse')}:operator"
    tokens = f"ci:{token_hash('t0ken')}:operator"
    shown.surroundings.settings = ConsoleSettings(users=Users.read(users, tokens))
    return _client(console(environment=shown.surroundings), ("203.0.113.7", 1), "jobs.example.org")


def _basic(name: str, password: str) -> Mapping[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def test_without_users_this_machine_may_look_and_change_nothing(shown: Shown) -> None:
    client = _client(console(environment=shown.surroundings))

    assert client.get("/jobs").status_code == 200
    headers = {"Sec-Fetch-Site": "same-origin"}
    assert client.post(f"/jobs/{shown.scene.failed}/retry", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        (("203.0.113.7", 1), "localhost", {}),
        (LOCAL, "evil.example", {}),
        (LOCAL, "localhost", {"X-Forwarded-For": "127.0.0.1"}),
        (LOCAL, "localhost", {"Forwarded": "for=127.0.0.1"}),
        (LOCAL, "localhost", {"X-Real-IP": "127.0.0.1"}),
    ],
)
def test_without_users_nothing_that_may_come_from_elsewhere_is_let_in(
    shown: Shown, client: tuple[str, int], host: str, headers: Mapping[str, str]
) -> None:
    reached = _client(console(environment=shown.surroundings), client, host)

    assert reached.get("/jobs", headers=headers).status_code == 403


def test_a_user_is_let_in_by_the_password_alone(shown: Shown) -> None:
    client = _named(shown)

    assert client.get("/", headers=_basic("ada", "correct horse")).status_code == 200
    for wrong in (_basic("ada", "wrong"), _basic("eve", ""), {}, {"Authorization": "Basic !"}):
        refused = client.get("/", headers=wrong)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic")


def test_a_token_needs_no_page_of_the_console_and_a_password_does(shown: Shown) -> None:
    client, job_id = _named(shown), shown.scene.scheduled
    path = f"/api/v1/jobs/{job_id}/cancel"

    assert client.post(path, headers=_basic("ada", "correct horse")).status_code == 403
    done = client.post(path, headers={"Authorization": "Bearer t0ken"})

    assert done.status_code == 200
    assert shown.ledger.get(job_id).state == "cancelled"


def test_an_address_that_fails_ten_times_waits_even_with_the_right_password(shown: Shown) -> None:
    client = _named(shown)
    for _ in range(MOST):
        assert client.get("/", headers=_basic("ada", "wrong")).status_code == 401

    assert client.get("/", headers=_basic("ada", "correct horse")).status_code == 429


def test_failures_are_forgotten_after_a_minute() -> None:
    now = [0.0]
    failed = FailedLogins(lambda: now[0])
    for _ in range(MOST):
        failed.note("203.0.113.7")
    assert failed.is_blocked("203.0.113.7")
    assert not failed.is_blocked("203.0.113.8")

    now[0] = 61.0

    assert not failed.is_blocked("203.0.113.7")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    ],
)
def test_what_changes_something_comes_from_a_page_of_the_console(
    shown: Shown, headers: Mapping[str, str]
) -> None:
    client = shown.client()
    del client.headers["Sec-Fetch-Site"]

    refused = client.post(f"/jobs/{shown.scene.scheduled}/cancel", headers=headers)

    assert refused.status_code == 403
    assert shown.ledger.get(shown.scene.scheduled).state == "scheduled"


def test_an_old_browser_is_let_in_by_its_origin(shown: Shown) -> None:
    client = shown.client()
    del client.headers["Sec-Fetch-Site"]

    done = client.post(
        f"/jobs/{shown.scene.scheduled}/cancel", headers={"Origin": "http://testserver"}
    )

    assert done.status_code == 303


HASH = PasswordHash(b"s" * 16, b"k" * 32)


@pytest.mark.parametrize(
    ("users", "tokens"),
    [
        ("ada:secret:admin", ""),
        ("ada:scrypt$x$y:admin", ""),
        (f"ada:{HASH}:root", ""),
        (f"ada:{HASH}", ""),
        ("", "ci:t0ken:viewer"),
        (f"ada:{HASH}:admin,ada:{HASH}:viewer", ""),
    ],
)
def test_wrong_users_are_refused_without_repeating_what_may_be_a_secret(
    users: str, tokens: str
) -> None:
    with pytest.raises(ConfigurationError, match="expected") as caught:
        Users.read(users, tokens)

    assert "secret" not in str(caught.value)
    assert "t0ken" not in str(caught.value).replace("--token", "")
