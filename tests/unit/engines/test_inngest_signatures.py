"""Whose a call is, how old, and whether it came before; compared with Inngest's own SDK."""

import json
from collections.abc import Callable

import pytest
from inngest._internal import net, transforms
from inngest._internal.server_lib import ServerKind

from failsoft.engines.inngest import signatures
from failsoft.engines.inngest.client import hashed
from failsoft.engines.inngest.signatures import SignatureError, Verifier, sign
from failsoft.testing.inngest_server import protocol

KEY, OLD_KEY, OTHER = (f"signkey-{word}-{word_key * 32}" for word, word_key in
                       (("prod", "0a"), ("prod", "0b"), ("test", "0c")))  # fmt: skip
BODY = b'{"event":{"data":{"v":1}},"ctx":{}}'
NOW = 1_800_000_000


class Seconds:
    """The seconds since 1970, as a test sets them."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def verifier(seconds: Seconds) -> Verifier:
    return Verifier([KEY, OLD_KEY], seconds)


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_a_call_that_is_signed_with_one_of_the_keys_is_taken(verifier: Verifier, key: str) -> None:
    assert verifier.verify(sign(key, BODY, NOW), BODY) == key


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "s=0",
        f"t={NOW}",
        f"t={NOW}&s=0",
        f"t={NOW}&s={'zz' * 32}",
        f"t=now&s={'00' * 32}",
        f"t={'9' * 400}&s={'00' * 32}",
        f"t={NOW}&s={'00' * 32}",
        f"s={'00' * 32}&t={NOW}",
        sign(OTHER, BODY, NOW),
        sign(KEY, BODY + b" ", NOW).replace("&s=", "&s=a")[:-1],
        sign(KEY, b"{}", NOW),
        sign(KEY, BODY, NOW - 1).replace(str(NOW - 1), str(NOW)),
        sign(KEY, BODY, NOW) + "&t=0",
    ],
)
def test_a_call_that_is_not_signed_is_refused(verifier: Verifier, header: str | None) -> None:
    with pytest.raises(SignatureError) as caught:
        verifier.verify(header, BODY)

    assert "0a0a" not in str(caught.value)


@pytest.mark.parametrize("age", [301, -301, 10**9])
def test_a_call_of_another_time_is_refused(verifier: Verifier, age: int) -> None:
    with pytest.raises(SignatureError, match="compare the clocks"):
        verifier.verify(sign(KEY, BODY, NOW - age), BODY)


@pytest.mark.parametrize("age", [299, -299])
def test_clocks_may_differ_by_five_minutes(verifier: Verifier, age: int) -> None:
    assert verifier.verify(sign(KEY, BODY, NOW - age), BODY) == KEY


@pytest.mark.parametrize("later", [0, 250, 590])
def test_a_call_that_came_before_is_refused_as_long_as_its_time_is_good(
    verifier: Verifier, seconds: Seconds, later: int
) -> None:
    header = sign(KEY, BODY, NOW + 299)
    verifier.verify(header, BODY)
    seconds.now += later

    with pytest.raises(SignatureError, match="came before"):
        verifier.verify(header, BODY)


def test_a_call_that_nothing_was_decided_about_may_come_again(verifier: Verifier) -> None:
    header = sign(KEY, BODY, NOW)
    verifier.verify(header, BODY)

    verifier.forget(header)

    assert verifier.verify(header, BODY) == KEY


def test_signatures_are_not_remembered_for_ever(
    verifier: Verifier, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "REMEMBERED", 10)
    for number in range(30):
        verifier.verify(sign(KEY, BODY, NOW + number), BODY)

    with pytest.raises(SignatureError, match="came before"):
        verifier.verify(sign(KEY, BODY, NOW + 29), BODY)
    assert verifier.verify(sign(KEY, BODY, NOW), BODY) == KEY


@pytest.mark.parametrize(
    "encode",
    [
        lambda found: json.dumps(found).encode(),
        lambda found: json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n",
    ],
)
def test_a_body_may_be_encoded_anew_on_its_way(
    verifier: Verifier, encode: Callable[[object], bytes]
) -> None:
    found = {"b": 1, "a": [True, None, "ž", 1.5]}
    canonical = transforms.canonicalize(json.dumps(found).encode())
    assert isinstance(canonical, bytes)

    assert verifier.verify(sign(KEY, canonical, NOW), encode(found)) == KEY


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{" * 10_000, b'{"a":' * 3000, b"\xff", b""])
def test_a_body_of_a_strangers_does_no_harm(verifier: Verifier, body: bytes) -> None:
    with pytest.raises(SignatureError):
        verifier.verify(f"t={NOW}&s={'00' * 32}", body)


def test_the_sdk_signs_the_same() -> None:
    theirs = net.sign_request(BODY, KEY, NOW)
    canonical = transforms.canonicalize(BODY)
    assert isinstance(canonical, bytes)

    assert theirs == sign(KEY, canonical, NOW) == protocol.sign(KEY, canonical, NOW)


def test_the_sdk_accepts_the_signature_of_an_answer() -> None:
    found = net.validate_response_sig(
        body=BODY,
        headers={signatures.HEADER: sign(KEY, BODY, NOW)},
        mode=ServerKind.CLOUD,
        signing_key=KEY,
    )

    assert found == KEY


def test_the_sdk_shows_the_same_hash_of_a_key() -> None:
    assert transforms.hash_signing_key(KEY) == hashed(KEY)
    assert protocol.is_signed_in(f"Bearer {hashed(KEY)}", KEY)
    assert protocol.is_signed_in(f"Bearer {KEY}", KEY)
    assert not protocol.is_signed_in(f"Bearer {hashed(OTHER)}", KEY)
    assert not protocol.is_signed_in(None, KEY)
