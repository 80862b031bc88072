"""The system checks: what is wrong with settings, ledger and workers, and what to do."""

import os
from typing import Any

import pytest
from django.core.checks import CheckMessage, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import override_settings

from failsoft.contrib.django import FailsoftBackend, checks
from failsoft.contrib.django.options import BackendOptions
from failsoft.contrib.django.settings import ledger_url, make_settings_of_process
from failsoft.dispatcher import use_dispatcher
from failsoft.worker.wiring import App

BACKEND = "failsoft.contrib.django.FailsoftBackend"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"


def ids(found: list[CheckMessage]) -> list[str]:
    return [str(each.id).removeprefix("failsoft.") for each in found]


def of(alias: str = "default", **params: Any) -> list[CheckMessage]:
    return FailsoftBackend(alias, params).check()


def test_the_project_is_in_order(app: App) -> None:
    assert run_checks() == []
    assert run_checks(tags=[Tags.database], databases=["default"]) == []


def test_a_queue_that_is_not_declared_is_an_error() -> None:
    (found,) = of(QUEUES=["default", "letters"])

    assert found.id == "failsoft.E002"
    assert found.hint is not None
    assert "default" in found.hint


def test_a_database_that_is_not_there_is_an_error() -> None:
    assert ids(of(OPTIONS={"database": "elsewhere"})) == ["E003"]


def test_joining_another_database_names_both(app: App, place: str) -> None:
    joins = {"BACKEND": BACKEND, "OPTIONS": {"transaction": "join", "database": "other"}}
    connections["other"].settings_dict["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
    with override_settings(TASKS={"default": joins}):
        (found,) = checks.of_ledger(databases=["default", "other"])
        assert checks.of_ledger(databases=["default"]) == []

    assert found.id == "failsoft.E003"
    assert place.removeprefix("sqlite:///") in found.msg
    assert "got" in found.msg


def test_sqlite_whose_transactions_are_deferred_is_an_error() -> None:
    connections["default"].settings_dict["OPTIONS"].pop("transaction_mode")

    assert ids(of()) == ["E004"]
    assert ids(of(OPTIONS={"transaction": "join"})) == ["E004"]
    assert of(OPTIONS={"transaction": "on_commit"}) == []


def test_a_ledger_without_tables_is_an_error(
    app: App, monkeypatch: pytest.MonkeyPatch, empty_sqlite_url: str
) -> None:
    use_dispatcher(None)
    monkeypatch.setenv("FAILSOFT_ENGINES", "memory")
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", empty_sqlite_url)

    (found,) = checks.of_ledger(databases=["default"])

    assert (found.id, found.hint) == ("failsoft.E001", "run `manage.py failsoft ledger upgrade`")


def test_a_deployment_has_workers_and_a_ledger_for_several_hosts(
    app: App, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", place)
    assert ids(checks.of_deployment()) == ["W001", "W001", "W002"]
    deployed = run_checks(include_deployment_checks=True)
    assert set(ids(checks.of_deployment())) <= set(ids(deployed))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"transactions": "join"}, "expected transaction, retry"),
        ({"transaction": "sometimes"}, "expected a transaction of join, on_commit, immediate"),
        ({"retry": {"max_attempts": 0}}, "max_attempts"),
        ({"retry": {"attempts": 1}}, "attempts"),
        ({"retry": 3}, "expected a retry of a mapping or a RetryPolicy, got 3"),
        ({"timeout": 3}, "expected a timeout of a timedelta, got 3"),
    ],
)
def test_an_option_that_is_wrong_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=expected):
        BackendOptions.read("default", options)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (
            {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/db.sqlite3"},
            "sqlite:////srv/db.sqlite3",
        ),
        (
            {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "shop",
                "USER": "ada",
                "PASSWORD": "p@ss/word",
                "HOST": "db",
                "PORT": 5433,
                "OPTIONS": {"sslmode": "require", "pool": True},
            },
            "postgresql://ada:p%40ss%2Fword@db:5433/shop?sslmode=require",
        ),
        (
            {"ENGINE": "django.contrib.gis.db.backends.postgis", "NAME": "s", "HOST": "/run/pg"},
            "postgresql:///s?host=%2Frun%2Fpg",
        ),
    ],
)
def test_the_ledger_may_be_in_a_database_of_django_s(given: dict[str, Any], url: str) -> None:
    assert ledger_url("default", {"default": given}) == url


def test_a_database_that_can_be_no_ledger_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="got 'default' on mysql"):
        ledger_url("default", {"default": {"ENGINE": "django.db.backends.mysql", "NAME": "x"}})
    with pytest.raises(ImproperlyConfigured, match="expected one of default, got 'x'"):
        ledger_url("x", {"default": {}})


def test_a_setting_is_one_of_the_process_unless_that_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAILSOFT_NAMESPACE", "started-with")
    for name in ("FAILSOFT_LEDGER_URL", "FAILSOFT_SLOTS"):
        monkeypatch.setenv(name, "to be unset afterwards")
        monkeypatch.delenv(name)

    with override_settings(
        FAILSOFT_NAMESPACE="of-the-project", FAILSOFT_SLOTS=4, FAILSOFT_LEDGER_DATABASE="other"
    ):
        make_settings_of_process()

    assert os.environ["FAILSOFT_NAMESPACE"] == "started-with"
    assert os.environ["FAILSOFT_SLOTS"] == "4"
    assert os.environ["FAILSOFT_LEDGER_URL"] == "sqlite:///:memory:"
