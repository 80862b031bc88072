"""Where Inngest is, which keys there are, and what dev mode is allowed for."""

from typing import Any

import pytest
from pydantic import ValidationError

from failsoft.engines.inngest.settings import NO_KEY, InngestSettings

SIGNING_KEY = "signkey-prod-0badc0de"
CLOUD = {
    "url": "https://api.inngest.com",
    "event_url": "https://inn.gs",
    "event_key": "an-event-key",
    "signing_key": SIGNING_KEY,
}


def said(error: ValidationError) -> str:
    """Return what a program shows of an error."""
    return str([each["msg"] for each in error.errors(include_input=False)])


def test_without_settings_it_is_the_dev_server_of_this_machine() -> None:
    settings = InngestSettings()

    assert settings.is_dev
    assert settings.events == f"http://localhost:8288/e/{NO_KEY}"


def test_inngest_cloud_takes_events_elsewhere() -> None:
    settings = InngestSettings.model_validate(CLOUD)

    assert not settings.is_dev
    assert settings.events == "https://inn.gs/e/an-event-key"
    assert settings.signing_keys == [SIGNING_KEY]


def test_a_server_on_this_machine_with_a_signing_key_is_no_dev_server() -> None:
    settings = InngestSettings.model_validate({"signing_key": SIGNING_KEY, "event_key": "k"})

    assert not settings.is_dev


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"url": "http://inngest:8288"},
        {"event_url": "http://inngest:8288"},
        {"host": "0.0.0.0"},  # noqa: S104 - what is refused
        {"serve_url": "https://app.example.com/api/inngest"},
        {"url": "http://127.0.0.1.example.com"},
    ],
)
def test_dev_mode_is_for_this_machine_alone(elsewhere: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        InngestSettings.model_validate({"dev": True, **elsewhere})

    assert f"another machine in {next(iter(elsewhere))}" in said(caught.value)


def test_an_address_elsewhere_needs_a_signing_key_although_the_server_is_here() -> None:
    with pytest.raises(ValidationError, match="expected a signing key"):
        InngestSettings(host="0.0.0.0")  # noqa: S104 - what is refused


def test_without_dev_mode_there_is_an_event_key() -> None:
    with pytest.raises(ValidationError, match="expected the event key"):
        InngestSettings(url="https://api.inngest.com")


@pytest.mark.parametrize("key", ["signkey-prod-not-a-key", "one-secret"])
def test_a_signing_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        InngestSettings.model_validate({**CLOUD, "signing_key": key})

    assert "expected a key like" in said(caught.value)
    assert key not in said(caught.value)


@pytest.mark.parametrize(
    "url", ["inngest:8288", "ftp://h", "https://user:one-secret@h", "https://h?key=one-secret"]
)
def test_an_address_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        InngestSettings(url=url)

    assert "expected a URL" in said(caught.value)
    assert "one-secret" not in said(caught.value)


def test_secrets_are_not_shown() -> None:
    settings = InngestSettings.model_validate(
        {**CLOUD, "signing_key_fallback": "signkey-prod-cafe"}
    )

    assert not any(each in repr(settings) for each in ("an-event-key", "0badc0de", "cafe"))


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        ("0", (0, 0)),
        ("8290", (8290, 8290)),
        ("default=8290,data-sync=8291", (8290, 8291)),
        ("8290, data-sync=8291", (8290, 8291)),
        ("data-sync=8291", (0, 8291)),
    ],
)
def test_each_queue_has_a_port(given: str, ports: tuple[int, int]) -> None:
    settings = InngestSettings(port=given)

    assert (settings.port_of("default"), settings.port_of("data-sync")) == ports


@pytest.mark.parametrize("given", ["eight", "70000", "default:8290", "Default=1", "-1"])
def test_a_port_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="expected ports like"):
        InngestSettings(port=given)


@pytest.mark.parametrize("env", ["feature/one", "", "main"])
def test_a_branch_environment_is_a_name(env: str) -> None:
    settings: dict[str, Any] = {**CLOUD, "env": env}

    assert InngestSettings.model_validate(settings).env == env


@pytest.mark.parametrize(
    ("given", "has_tls"),
    [({}, False), (CLOUD, True), ({"serve_url": "https://localhost"}, True)],
)
def test_authorities_are_read_where_there_is_tls(given: dict[str, Any], *, has_tls: bool) -> None:
    assert InngestSettings.model_validate(given).has_tls is has_tls
