"""The admin shows the ledger's rows, and acts on jobs after a confirmation."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Permission
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.management import call_command
from django.db import connections
from django.http import HttpRequest
from django.test import RequestFactory

from failsoft.contrib.django.admin import JobAdmin
from failsoft.contrib.django.models import Attempt, DeadLetter, Job, Worker
from failsoft.dispatcher import use_dispatcher
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, open_database
from tests.contrib.django.project.shop import tasks
from tests.contrib.django.working import attempt

MODELS = [Job, DeadLetter, Attempt, Worker]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"


class User(AnonymousUser):
    is_active = True
    is_staff = True
    username = "ada"
    held: tuple[str, ...] = ()

    def __init__(self, *held: str) -> None:
        super().__init__()
        self.held = held

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return perm in self.held

    def has_module_perms(self, module: str) -> bool:
        return bool(self.held)

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        return True


SEES = tuple(f"failsoft.view_{each._meta.model_name}" for each in MODELS)


def of(model: Any) -> Any:
    return admin.site._registry[model]


def request_of(user: User, path: str = "/", **data: str) -> HttpRequest:
    made = RequestFactory().post(path, data) if data else RequestFactory().get(path)
    made.user = user
    made.session = {}  # type: ignore[assignment]
    made._messages = FallbackStorage(made)  # type: ignore[attr-defined]
    made._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return made


def changed(user: User, action: str, job_id: str, **data: str) -> Any:
    given = {"action": action, "_selected_action": job_id, **data}
    return of(Job).changelist_view(request_of(user, "/admin/failsoft/job/", **given))


@pytest.fixture
def migrated(app: App) -> None:
    """The tables of Django's own apps; those of the ledger are not Django's to make."""
    if "auth_permission" not in connections["default"].introspection.table_names():
        call_command("migrate", verbosity=0)


def test_migrations_make_the_permissions(migrated: None) -> None:
    names = Permission.objects.filter(content_type__app_label="failsoft")

    assert {"view_job", "act_job", "view_payload"} <= set(names.values_list("codename", flat=True))


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_listed_and_shown_and_nothing_is_changed(
    app: App, migrated: None, model: Any
) -> None:
    attempt(app, tasks.fails.enqueue().id)
    shown, viewer = of(model), User(*SEES)

    page = shown.changelist_view(request_of(viewer)).render()

    assert page.status_code == 200
    assert model is Worker or model.objects.count() > 0
    for row in model.objects.all()[:1]:
        detail = shown.change_view(request_of(viewer), str(row.pk)).render()
        assert str(row.pk) in detail.content.decode()
    for may in ("add", "change", "delete"):
        assert not getattr(shown, f"has_{may}_permission")(request_of(viewer))


def test_moments_are_read(app: App) -> None:
    job_id = tasks.add.enqueue(1).id

    assert Job.objects.get(pk=job_id).created_at == app.ledger.get(job_id).created_at


def test_an_action_is_done_after_its_confirmation(app: App) -> None:
    job_id, actor = tasks.add.enqueue(1).id, User(*SEES, "failsoft.act_job")

    page = changed(actor, "cancel", job_id).render().content.decode()
    assert job_id in page
    assert app.ledger.get(job_id).state.value == "offered"

    changed(actor, "cancel", job_id, confirmed="yes", reason="")
    assert app.ledger.get(job_id).state.value == "cancelled"
    assert app.ledger.events(job_id)[-1].actor == "ada"


def test_a_failed_job_is_tried_again_and_a_held_one_is_abandoned(app: App) -> None:
    actor = User(*SEES, "failsoft.act_job")
    failed, held = tasks.fails.enqueue().id, tasks.returns_too_much.enqueue().id
    attempt(app, failed)
    attempt(app, held)
    before = Job.objects.count()

    changed(actor, "retry", failed, confirmed="yes", reason="mended")
    changed(actor, "resolve", held, confirmed="yes", reason="", decision="abandon")

    assert Job.objects.count() == before + 1
    assert app.ledger.get(held).state.value == "failed"


def test_who_may_not_act_has_no_actions(app: App) -> None:
    job_id = tasks.add.enqueue(1).id
    shown: JobAdmin = of(Job)

    assert shown.get_actions(request_of(User(*SEES))) == {}
    changed(User(*SEES), "cancel", job_id, confirmed="yes", reason="")

    assert app.ledger.get(job_id).state.value == "offered"


def test_a_ledger_elsewhere_shows_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("FAILSOFT_ENGINES", "memory")
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    database = open_database(load_settings(), 2)
    upgrade(database)
    database.close()
    use_dispatcher(None)

    assert not of(Job).has_module_permission(request_of(User(*SEES)))
    assert not of(Job).has_view_permission(request_of(User(*SEES)))
