"""No password of a URL or a connection string is shown, wherever in it it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failsoft.job_engine.values.redaction import MASK, redacted, redacted_url, scheme_of

CANARY = "CANARY"
SCHEMES = (
    *("redis", "rediss", "unix", "redis+sentinel", "amqp", "amqps"),
    *("postgresql", "postgresql+psycopg", "sqlite", "mysql", "mongodb+srv", "x"),
)
#: Where a secret may stand in a URL, also in one that nothing can read.
POSITIONS = (
    "{scheme}://user:CANARY@host:1/db",
    "{scheme}://:CANARY@host/0",
    "{scheme}://user:CAN/CANARY@host/db",
    "{scheme}://user:CAN#CANARY@host/db",
    "{scheme}://user:CAN?CANARY@host/db",
    "{scheme}://user:CAN@CANARY@host/db",
    "{scheme}://user:CAN:CANARY@host/db",
    "{scheme}://user:CAN;CANARY@host/db",
    "{scheme}://user:CANARY",
    "{scheme}://user:CAN#CANARY",
    "{scheme}://user:CANARY@",
    "{scheme}://user:CANARY@[::1]:1/db",
    "{scheme}://user:CANARY@a:1,b:2/db?service=x",
    "{scheme}://host/db?password=CANARY",
    "{scheme}://host/db?sslmode=require&password=CANARY&db=1",
    "{scheme}://host/db?PASSWORD=CANARY",
    "{scheme}://host/db?pass%77ord=CANARY",
    "{scheme}://host/db?password=x@CANARY",
    "{scheme}://host/db?sslpassword=CANARY&sslkey=CANARY&passfile=CANARY",
    "{scheme}://host/db?never_heard_of=CANARY",
    "{scheme}://host/db;password=CANARY",
    "{scheme}:///db?host=/run&password=CANARY",
    "{scheme}://user:pw@host/db?password=CANARY",
    "{scheme}://a:CANARY@one/x;{scheme}://b:CANARY@two/x?y=CANARY",
)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("position", POSITIONS)
def test_a_secret_in_any_place_of_a_url_is_masked(scheme: str, position: str) -> None:
    url = position.format(scheme=scheme)

    for text in (redacted_url(url), redacted(url), redacted(f"no answer of '{url}': {url!r}, no")):
        assert CANARY not in text
        assert MASK in text


@pytest.mark.parametrize(
    "text",
    [
        "host=h user=me password=CANARY dbname=x",
        "host=h password = 'a\\'CANARY' dbname=x",
        "sslpassword=CANARY sslkey=CANARY passfile=CANARY",
        'password="CANARY"',
        "AUTH_TOKEN=CANARY",
        "s3_secret_key_2=CANARY",
        "password='it is cut off CANARY",
        "conninfo='host=h password=CANARY'",
    ],
)
def test_a_secret_in_a_connection_string_is_masked(text: str) -> None:
    assert CANARY not in redacted(f"cannot connect with {text}")


@pytest.mark.parametrize(
    "text",
    [
        "redis://127.0.0.1:6379/0",
        "redis+sentinel://a:26379,b:26379/0?service=main",
        "postgresql://me@host:5432/db?sslmode=require&target_session_attrs=read-write",
        "postgresql://[::1]:5432/db",
        "amqp://me@localhost:5672/%2F?heartbeat=10",
        "sqlite:////var/lib/failsoft/ledger.db",
        "https://files.example.com/people.csv",
        "expected ledger schema 0012, got 0011; run `failsoft ledger upgrade`",
        "maxmemory-policy=noeviction, a=1",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert redacted(text) == text


@given(st.text())
def test_any_text_can_be_redacted_twice(text: str) -> None:
    once = redacted(text)

    assert redacted(once) == once


def test_a_scheme_is_distinguished_from_a_password() -> None:
    assert scheme_of("mysql://x") == "mysql://"
    assert scheme_of("user=x password=CANARY") == ""
    assert scheme_of("CANARY@://") == ""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "shape",
    [
        *("x", "password", "password ", "a://", "a://a:", "a:@", "?", "?a", "a=", "=", " ", "'"),
        *("password='", 'password="\\', ";", ";a", "a://@", "://", "token=a;", "x="),
    ],
)
def test_a_long_text_of_any_shape_is_masked(shape: str) -> None:
    text = (shape * 400_000)[:400_000]

    assert CANARY not in redacted(f"{text} redis://:{CANARY}@host {text}")
    assert CANARY not in redacted(f"a=://{text} password={CANARY}")
