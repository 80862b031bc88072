"""A Django project in this process, whose database is the ledger's."""

import uuid
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import django
import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from failsoft.dispatcher import use_dispatcher
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build, open_database
from tests.servers.postgresql.postgres import Postgres

SETTINGS = "tests.contrib.django.project.settings"

with pytest.MonkeyPatch.context() as patch:
    # Tasks need the settings when their module is imported, and every other test its time zone.
    patch.setenv("TZ", "UTC")
    patch.setenv("DJANGO_SETTINGS_MODULE", SETTINGS)
    django.setup()


def databases_of(url: str) -> dict[str, dict[str, object]]:
    """Return the project's `DATABASES` with the default one at a URL."""
    place = urlsplit(url)
    if place.scheme.startswith("sqlite"):
        default: dict[str, object] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": place.path[1:],
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
        }
    else:
        default = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": place.path[1:],
            "USER": place.username,
            "HOST": place.hostname,
            "PORT": str(place.port),
        }
    other = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    return {"default": default, "other": other}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a ledger that the tests of a module share."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"django_{uuid.uuid4().hex}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
def app(place: str) -> Iterator[App]:
    """Failsoft on that ledger, with an engine that keeps what it is offered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAILSOFT_ENGINES", "memory")
        patch.setenv("FAILSOFT_LEDGER_URL", place)
        settings = load_settings()
        database = open_database(settings, 2)
        upgrade(database)
        database.close()
        opened = build(settings)
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def databases(place: str) -> Iterator[None]:
    """The ledger's database as the default one of Django's, and another one."""
    before = connections.settings
    _close(before)
    connections.settings = connections.configure_settings(databases_of(place))
    yield
    _close(connections.settings)
    connections.settings = before


@pytest.fixture(autouse=True)
def dispatcher(app: App) -> Iterator[None]:
    """The dispatcher of that ledger as the process's."""
    use_dispatcher(app.dispatcher)
    yield
    use_dispatcher(None)


def _close(aliases: Iterable[str]) -> None:
    for alias in aliases:
        # Django's own leaves one in memory open.
        BaseDatabaseWrapper.close(connections[alias])
        del connections[alias]
