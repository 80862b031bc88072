"""What travels through an engine, and what is let in."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failsoft.job_engine.errors import ConfigurationError, MessageRejectedError
from failsoft.job_engine.records.message import (
    MAX_MESSAGE_BYTES,
    KeyRing,
    Message,
    SigningKey,
    is_job_id,
)
from failsoft.testing import FrozenClock

KEY = SigningKey.generate()
WIRE: dict[str, Any] = {"v": 1, "job_id": "job-1", "epoch": 2, "kid": KEY.kid, "mac": "ab" * 32}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NEARLY_A_MESSAGE = st.fixed_dictionaries(
    {}, optional={name: ODD | st.just(WIRE[name]) for name in WIRE}
)


class Keys:
    """What a ledger knows of signing keys, and how often they were read."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.reads = 0

    def load(self) -> list[SigningKey]:
        self.reads += 1
        return list(self.keys)


def ring_of(*keys: SigningKey, namespace: str = "") -> KeyRing:
    return KeyRing(lambda: keys, FrozenClock(), namespace)


def is_let_in(wire: object) -> bool:
    try:
        Message.from_wire(wire)
    except MessageRejectedError:
        return False
    return True


def test_a_message_comes_back_as_it_was_sent() -> None:
    message = ring_of(KEY).sign("job-1", 7, "rq")

    assert Message.from_wire(message.to_wire()) == message
    assert Message.from_wire(json.dumps(message.to_wire())) == message
    assert Message.from_wire(json.dumps(message.to_wire()).encode()) == message


def test_a_message_is_five_fields_and_short() -> None:
    message = ring_of(KEY).sign("j" * 64, 2**31 - 1, "rq")

    assert set(message.to_wire()) == {"v", "job_id", "epoch", "kid", "mac"}
    assert len(json.dumps(message.to_wire())) <= MAX_MESSAGE_BYTES


@settings(max_examples=150)
@given(ANYTHING | NEARLY_A_MESSAGE)
def test_anything_is_either_a_message_or_rejected(wire: object) -> None:
    if is_let_in(wire):
        assert Message.from_wire(wire).job_id


@settings(max_examples=150)
@given(st.binary(max_size=600) | st.text(max_size=600))
def test_any_bytes_and_any_text_are_either_a_message_or_rejected(wire: bytes | str) -> None:
    assert not is_let_in(wire)


@settings(max_examples=150)
@given(ANYTHING | NEARLY_A_MESSAGE)
def test_whatever_is_let_in_can_be_verified_or_rejected(wire: object) -> None:
    if is_let_in(wire):
        with pytest.raises(MessageRejectedError):
            ring_of(KEY).verify(Message.from_wire(wire), "rq")


@pytest.mark.parametrize("mac", ["", "ž", "\ud800", "\x00" * 64, "AB" * 32])
def test_a_mac_that_is_no_mac_is_rejected(mac: str) -> None:
    message = Message.from_wire(json.dumps(WIRE | {"mac": mac}))

    with pytest.raises(MessageRejectedError):
        ring_of(KEY).verify(message, "rq")


@pytest.mark.parametrize(
    "change",
    [
        {"v": 0},
        {"v": 3},
        {"v": True},
        {"v": 1.0},
        {"epoch": 0},
        {"epoch": -1},
        {"epoch": 2**31},
        {"epoch": "2"},
        {"epoch": True},
        {"epoch": None},
        {"job_id": ""},
        {"job_id": "a" * 65},
        {"job_id": "a b"},
        {"job_id": "a\n"},
        {"job_id": "../etc"},
        {"job_id": 7},
        {"kid": None},
        {"mac": None},
        {"mac": ["a"]},
        {"args": []},
        {"mac": "x" * 600},
    ],
    ids=str,
)
def test_a_message_with_one_wrong_field_is_rejected(change: dict[str, Any]) -> None:
    assert is_let_in(WIRE)

    assert not is_let_in(WIRE | change)


@pytest.mark.parametrize("name", sorted(WIRE))
def test_a_message_with_one_field_less_is_rejected(name: str) -> None:
    assert not is_let_in({key: value for key, value in WIRE.items() if key != name})


@pytest.mark.parametrize(
    "wire",
    ["[" * 100_000, b"\xff\xfe", "9" * 5000, '{"v": NaN}', "x" * 600, object(), {1: {2}}, "null"],
    ids=["deep", "no text", "long number", "NaN", "long", "object", "set", "null"],
)
def test_hostile_input_is_rejected(wire: object) -> None:
    assert not is_let_in(wire)


def test_the_error_never_repeats_what_was_sent() -> None:
    with pytest.raises(MessageRejectedError) as caught:
        Message.from_wire(WIRE | {"job_id": "hunter2 canary"})

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["a", "A-z_09", "x" * 64])
def test_a_job_id_is_letters_digits_and_two_signs(text: str) -> None:
    assert is_job_id(text)


def test_a_signed_message_is_accepted_for_its_engine() -> None:
    ring = ring_of(KEY)

    ring.verify(ring.sign("job-1", 1, "rq"), "rq")


@pytest.mark.parametrize("change", [{"job_id": "job-2"}, {"epoch": 2}, {"mac": "0" * 64}], ids=str)
def test_a_message_that_was_changed_is_rejected(change: dict[str, Any]) -> None:
    ring = ring_of(KEY)
    wire = ring.sign("job-1", 1, "rq").to_wire()

    with pytest.raises(MessageRejectedError, match="MAC"):
        ring.verify(Message.from_wire(wire | change), "rq")


def test_a_message_for_another_engine_is_rejected() -> None:
    ring = ring_of(KEY)

    with pytest.raises(MessageRejectedError, match="MAC"):
        ring.verify(ring.sign("job-1", 1, "rq"), "dramatiq")


@pytest.mark.fault("F48")
@pytest.mark.parametrize("namespace", ["", "shop-eu", "sho", "Shop"])
def test_a_message_of_another_namespace_is_rejected(namespace: str) -> None:
    shop, other = ring_of(KEY, namespace="shop"), ring_of(KEY, namespace=namespace)
    message = shop.sign("job-1", 1, "rq")

    shop.verify(message, "rq")
    with pytest.raises(MessageRejectedError, match="MAC"):
        other.verify(message, "rq")


@pytest.mark.fault("F48")
def test_a_message_of_the_version_before_is_still_accepted() -> None:
    before = Message(1, "job-1", 1, KEY.kid, KEY.mac("job-1", 1, "rq"))

    ring_of(KEY, namespace="shop").verify(Message.from_wire(before.to_wire()), "rq")


def test_no_message_passes_for_one_of_the_other_version() -> None:
    ring = ring_of(KEY, namespace="shop")
    for sent, claimed in ((1, 2), (2, 1)):
        mac = KEY.mac("job-1", 1, "rq", None if sent == 1 else "shop")
        with pytest.raises(MessageRejectedError, match="MAC"):
            ring.verify(Message(claimed, "job-1", 1, KEY.kid, mac), "rq")


def test_a_message_of_another_known_key_is_rejected_under_this_one() -> None:
    other = SigningKey.generate()
    ring = ring_of(KEY, other)
    wire = ring.sign("job-1", 1, "rq").to_wire()

    with pytest.raises(MessageRejectedError, match="MAC"):
        ring.verify(Message.from_wire(wire | {"kid": other.kid}), "rq")


def test_a_message_of_an_unknown_key_is_rejected() -> None:
    stranger = ring_of(SigningKey.generate()).sign("job-1", 1, "rq")

    with pytest.raises(MessageRejectedError, match="known signing key"):
        ring_of(KEY).verify(stranger, "rq")


def test_messages_are_signed_with_the_newest_key_and_older_ones_are_accepted() -> None:
    old, new = SigningKey.generate(), SigningKey.generate()
    before = ring_of(old).sign("job-1", 1, "rq")
    ring = ring_of(new, old)

    ring.verify(before, "rq")

    assert ring.sign("job-1", 2, "rq").kid == new.kid


def test_a_key_that_was_made_since_is_found() -> None:
    clock, new = FrozenClock(), SigningKey.generate()
    keys = Keys(KEY)
    ring = KeyRing(keys.load, clock)
    ring.sign("job-1", 1, "rq")
    keys.keys.insert(0, new)
    clock.advance(timedelta(seconds=2))

    ring.verify(ring_of(new).sign("job-1", 2, "rq"), "rq")


def test_a_process_that_only_signs_takes_up_a_new_key() -> None:
    clock, new = FrozenClock(), SigningKey.generate()
    keys = Keys(KEY)
    ring = KeyRing(keys.load, clock)
    ring.sign("job-1", 1, "rq")
    keys.keys = [new]

    clock.advance(timedelta(days=1))

    assert ring.sign("job-1", 2, "rq").kid == new.kid


def test_a_key_that_was_retired_is_no_longer_accepted() -> None:
    clock, new = FrozenClock(), SigningKey.generate()
    keys = Keys(KEY)
    ring = KeyRing(keys.load, clock)
    old = ring.sign("job-1", 1, "rq")
    keys.keys = [new]

    clock.advance(timedelta(days=1))

    with pytest.raises(MessageRejectedError):
        ring.verify(old, "rq")


def test_keys_are_read_once_for_many_messages() -> None:
    keys = Keys(KEY)
    ring = KeyRing(keys.load, FrozenClock())

    for epoch in range(1, 50):
        ring.verify(ring.sign("job-1", epoch, "rq"), "rq")

    assert keys.reads == 1


def test_strangers_key_ids_cost_at_most_one_query_a_second() -> None:
    clock, keys = FrozenClock(), Keys(KEY)
    ring = KeyRing(keys.load, clock)
    stranger = ring_of(SigningKey.generate()).sign("job-1", 1, "rq")

    for _ in range(50):
        with pytest.raises(MessageRejectedError):
            ring.verify(stranger, "rq")
        clock.advance(timedelta(seconds=0.1))

    assert keys.reads <= 6


def test_a_ledger_without_a_key_says_what_to_run() -> None:
    with pytest.raises(ConfigurationError, match="ledger upgrade"):
        ring_of().sign("job-1", 1, "rq")


def test_a_key_never_shows_its_secret() -> None:
    assert repr(KEY.secret) not in repr(KEY)
    assert KEY.secret.hex() not in repr(KEY)
