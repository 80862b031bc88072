"""Payloads on their way through the ledger."""

import json
import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from failsoft.job_engine import SecretText
from failsoft.job_engine.errors import (
    PayloadInvalidError,
    PayloadTooLargeError,
)
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, decode_payload, encode_payload

CANARY = "hunter2-canary"


class Mail(BaseModel):
    to: str
    weight: float = 1.0
    at: datetime | None = None


class Login(BaseModel):
    user: str
    password: SecretText


class Forgetful(BaseModel):
    password: SecretStr


class Picky(BaseModel):
    age: int = Field(ge=18, le=130)
    tags: list[str] = []


def encode(payload: BaseModel, kind: type[BaseModel] | None = None) -> str:
    return encode_payload(payload, kind or type(payload), MAX_PAYLOAD_BYTES)


@given(st.builds(Mail, to=st.text(), weight=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_payload_comes_back_as_it_was(payload: Mail) -> None:
    assert decode_payload(encode(payload), Mail) == payload


@given(st.text())
def test_a_payload_that_is_no_json_of_the_model_is_refused_and_nothing_else_happens(
    text: str,
) -> None:
    with pytest.raises(PayloadInvalidError):
        decode_payload(text, Mail)


def test_a_secret_survives_the_ledger_and_hides_everywhere_else() -> None:
    payload = Login(user="ada", password=SecretStr(CANARY))

    again = decode_payload(encode(payload), Login)

    assert again.password.get_secret_value() == CANARY
    assert CANARY not in f"{payload!r} {payload} {again!r} {again.model_dump()}"


def test_a_payload_that_json_would_change_is_refused_and_the_field_is_named() -> None:
    with pytest.raises(PayloadInvalidError, match="other values in password") as caught:
        encode(Forgetful(password=SecretStr(CANARY)))

    assert "SecretText" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_payload_with_a_number_that_json_does_not_know_is_refused(number: float) -> None:
    with pytest.raises(PayloadInvalidError):
        encode(Mail(to="a", weight=number))


def test_a_payload_of_another_model_is_refused() -> None:
    with pytest.raises(PayloadInvalidError, match="type Login, got Mail"):
        encode(Mail(to="a"), Login)


def test_a_payload_may_be_so_large_and_no_larger() -> None:
    room = MAX_PAYLOAD_BYTES - len(Mail(to="").model_dump_json())

    encode(Mail(to="x" * room))

    with pytest.raises(PayloadTooLargeError, match=f"at most {MAX_PAYLOAD_BYTES} bytes, got"):
        encode(Mail(to="x" * (room + 1)))
    with pytest.raises(PayloadTooLargeError):
        encode(Mail(to="é" * (room // 2 + 1)))


def test_a_payload_that_does_not_fit_is_described_by_field_and_never_by_value() -> None:
    text = json.dumps({"age": 7, "tags": ["ok", {"secret": CANARY}]})

    with pytest.raises(PayloadInvalidError) as caught:
        decode_payload(text, Picky)

    assert "age: Input should be greater than or equal to 18" in str(caught.value)
    assert "tags.1: Input should be a valid string" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_payload_that_breaks_its_own_rules_is_refused_at_dispatch() -> None:
    with pytest.raises(PayloadInvalidError, match="age"):
        encode(Picky.model_construct(age=7, tags=[]))
