"""What is shown of payloads: secrets are masked by type and by name, numbers are as they were."""

import json

import pytest
from pydantic import BaseModel, EmailStr, SecretStr

from failsoft.api import SecretText
from failsoft.console.payloads.policy import DOTS, Mode, PayloadPolicy
from failsoft.console.payloads.rendering import DEEPEST, MOST_CHARS, brief, pieces
from tests.console.conftest import Shown


class Inner(BaseModel):
    pin: SecretText
    plain: str


class Payload(BaseModel):
    to: EmailStr
    code: SecretStr
    inner: Inner
    many: list[Inner]
    by_name: dict[str, Inner]


TEXT = json.dumps(
    {
        "to": "ada@example.org",
        "code": "c0de",
        "inner": {"pin": "1234", "plain": "seen"},
        "many": [{"pin": "1234", "plain": "seen"}],
        "by_name": {"a": {"pin": "1234", "plain": "seen"}},
    }
)


@pytest.mark.parametrize("mode", [Mode.REDACTED, Mode.FULL])
def test_what_a_type_calls_secret_is_masked_in_every_mode(mode: Mode) -> None:
    shown = json.dumps(PayloadPolicy(mode).shown("send", "payload", TEXT, Payload))

    assert "1234" not in shown
    assert "c0de" not in shown
    assert "ada@" not in shown
    assert "seen" in shown


@pytest.mark.parametrize(
    "name",
    ["password", "api_token", "Authorization", "cookie", "session_id", "api_key", "card_no", "iban",
     "ssn", "clientSecret"],
)  # fmt: skip
def test_what_is_named_like_a_secret_is_masked(name: str) -> None:
    shown = PayloadPolicy().shown("send", "payload", json.dumps({"x": [{name: "v"}]}))

    assert shown == {"x": [{name: DOTS}]}


def test_nothing_is_shown_where_payloads_are_hidden() -> None:
    assert PayloadPolicy(Mode.HIDDEN).shown("send", "payload", TEXT) == DOTS


def test_the_program_has_the_last_word() -> None:
    policy = PayloadPolicy(redact=lambda name, kind, value: {name: kind})

    assert policy.shown("send", "result", "1") == {"send": "result"}


@pytest.mark.parametrize("number", ["12345678901234567890", "0.10", "1e400", "-0.0"])
def test_numbers_are_shown_as_they_were_written(number: str) -> None:
    text = "".join(piece.text for piece in pieces(PayloadPolicy().shown("a", "result", number)))

    assert text == number


def test_values_that_are_too_long_or_too_deep_are_cut() -> None:
    deep: object = 1
    for _ in range(DEEPEST + 5):
        deep = [deep]
    long = "".join(piece.text for piece in pieces({"x": ["y" * 100] * 10_000}))

    assert "…" in "".join(piece.text for piece in pieces(deep))
    assert len(long) < MOST_CHARS + 100
    assert len(brief({"x": "y" * 1000})) == 80


def test_no_screen_shows_a_secret_of_the_scene(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.taken_over
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/raw.json", f"/api/v1/jobs/{job_id}"):
        page = client.get(path).text
        assert "s3cret-value" not in page
        assert "k-123" not in page
        assert "orders.csv" in page
