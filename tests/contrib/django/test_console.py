"""The console below a route of the project's, for the staff by their permissions."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from failsoft.console import Permission
from failsoft.contrib.django import console as module
from failsoft.contrib.django.console import actor_of
from failsoft.contrib.django.urls import urlpatterns
from failsoft.worker.wiring import App
from tests.contrib.django.project.shop import tasks


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, place: str) -> Iterator[None]:
    monkeypatch.setenv("FAILSOFT_ENGINES", "memory")
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", place)
    monkeypatch.setenv("FAILSOFT_CONSOLE", "true")
    module._application.cache_clear()
    yield
    module._application.cache_clear()


class User(SimpleNamespace):
    is_active = True
    is_staff = True
    is_superuser = False
    permissions: tuple[str, ...] = ()

    def has_perm(self, name: str) -> bool:
        return self.is_superuser or name in self.permissions

    def get_username(self) -> str:
        return "ada"


VIEWER = User(permissions=("failsoft.view_job",))


def served(request: HttpRequest, user: User) -> HttpResponse:
    request.user = user  # type: ignore[assignment]
    path = request.path_info.removeprefix("/queues/")
    response: HttpResponse = urlpatterns[1].callback(request, path=path)
    return response


def test_a_member_of_the_staff_sees_jobs(app: App) -> None:
    result = tasks.add.enqueue(1)

    response = served(RequestFactory().get(f"/queues/jobs/{result.id}"), VIEWER)

    assert response.status_code == 200
    assert result.id in (shown := response.content.decode())
    assert 'href="/queues/' in shown
    assert "Content-Security-Policy" in response.headers


def test_others_are_sent_to_the_login(app: App) -> None:
    response = served(RequestFactory().get("/queues/"), User(is_staff=False))

    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/")


def test_the_staff_without_permission_is_nobody(app: App) -> None:
    assert served(RequestFactory().get("/queues/jobs"), User()).status_code in {401, 403}


def test_an_action_needs_its_permission_and_the_consoles_own_page(app: App) -> None:
    job_id = tasks.add.enqueue(1).id
    actor = User(permissions=("failsoft.view_job", "failsoft.act_job"))

    def cancel(user: User, site: str) -> int:
        request = RequestFactory().post(
            f"/queues/jobs/{job_id}/cancel",
            "reason=wrong",
            content_type="application/x-www-form-urlencoded",
            headers={"sec-fetch-site": site},
        )
        return served(request, user).status_code

    assert cancel(VIEWER, "same-origin") == 403
    assert cancel(actor, "cross-site") == 403
    assert app.ledger.get(job_id).state.value == "offered"
    assert cancel(actor, "same-origin") in {200, 303}
    assert app.ledger.get(job_id).state.value == "cancelled"
    assert app.ledger.events(job_id)[-1].actor == "ada (console)"


def test_what_a_user_may() -> None:
    assert actor_of(None) is None
    assert actor_of(User(is_active=False, is_superuser=True)) is None
    root = actor_of(User(is_superuser=True))
    assert root is not None
    assert root.access == frozenset(Permission)
    viewer = actor_of(VIEWER)
    assert viewer is not None
    assert viewer.access == {Permission.VIEW}
