"""The extension of a Flask app: its settings, its dispatcher, its command."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from failsoft.api import ConfigurationError, dispatch_job
from failsoft.contrib.flask import Failsoft
from failsoft.contrib.flask import settings as settings_module
from failsoft.dispatcher import default_dispatcher, opened_dispatcher
from failsoft.ledger import SqlLedger
from tests.contrib.apps.orders import Order, pay


@pytest.fixture(autouse=True)
def no_app_before(settings: pytest.MonkeyPatch) -> Iterator[None]:
    settings_module._ours.clear()
    yield
    settings_module._forget()


def app_with(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(config)
    Failsoft(app)
    return app


def test_an_app_has_the_dispatcher_of_its_process(ledger: SqlLedger) -> None:
    app = app_with()

    assert app.extensions["failsoft"].dispatcher is default_dispatcher()


def test_what_was_dispatched_in_a_context_is_written_when_it_ends(ledger: SqlLedger) -> None:
    app = app_with()

    @app.post("/")
    def order() -> str:
        return dispatch_job(pay, Order()).id

    job_id = app.test_client().post("/").text

    assert [each.engine for each in ledger.tries(job_id)] == ["memory"]


def test_a_context_in_which_nothing_is_dispatched_opens_nothing(ledger: SqlLedger) -> None:
    with app_with().app_context():
        pass

    assert opened_dispatcher() is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["rq", "dramatiq"], "rq,dramatiq"),
        (timedelta(minutes=1, milliseconds=500), "60.500000s"),
        (False, "false"),
        (8, "8"),
        (Path("/srv"), "/srv"),
        ({"main": "whsec"}, '{"main": "whsec"}'),
    ],
)
def test_a_setting_has_the_text_of_a_variable(value: object, text: str) -> None:
    app_with(FAILSOFT_SOMETHING=value)

    assert os.environ["FAILSOFT_SOMETHING"] == text


def test_a_setting_is_the_dispatchers(
    ledger: SqlLedger, settings: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    settings.delenv("FAILSOFT_LEDGER_URL")
    app = app_with(FAILSOFT_LEDGER_URL=sqlite_url)

    with app.app_context():
        handle = dispatch_job(pay, Order())

    assert ledger.get(handle.id).name == "contrib-pay"


def test_a_variable_of_the_environment_beats_a_setting(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("FAILSOFT_NAMESPACE", "started-with")

    app_with(FAILSOFT_NAMESPACE="of-the-app")

    assert os.environ["FAILSOFT_NAMESPACE"] == "started-with"


def test_a_value_that_is_no_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"FAILSOFT_ENGINES: expected text, .* got set"):
        app_with(FAILSOFT_ENGINES={"rq"})


def test_a_second_app_with_other_settings_is_refused_without_showing_them() -> None:
    app_with(FAILSOFT_LEDGER_URL="postgresql://a:secret@db/one", FAILSOFT_SLOTS=4)
    app_with(FAILSOFT_LEDGER_URL="postgresql://a:secret@db/one", FAILSOFT_SLOTS=4)
    app_with()

    with pytest.raises(ConfigurationError) as raised:
        app_with(FAILSOFT_LEDGER_URL="postgresql://a:secret@db/two")

    assert "FAILSOFT_LEDGER_URL, FAILSOFT_SLOTS" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_app_under_test_takes_the_place_of_the_one_before(
    settings: pytest.MonkeyPatch, ledger: SqlLedger, sqlite_url: str
) -> None:
    settings.delenv("FAILSOFT_LEDGER_URL")
    app_with(FAILSOFT_LEDGER_URL=sqlite_url, FAILSOFT_NAMESPACE="one", TESTING=True)
    before = default_dispatcher()

    app_with(FAILSOFT_LEDGER_URL=sqlite_url, TESTING=True)

    assert default_dispatcher() is not before
    assert "FAILSOFT_NAMESPACE" not in os.environ


def test_the_command_is_that_of_failsoft() -> None:
    app = app_with()

    shown = app.test_cli_runner().invoke(args=["failsoft", "jobs", "--help"])

    assert shown.exit_code == 0, shown.output
    assert "Usage: flask failsoft jobs" in shown.output
