"""What is let in of an envelope that a broker delivers to Dramatiq."""

import json
import sys
from typing import Any

import dramatiq
from hypothesis import given, settings
from hypothesis import strategies as st

from failsoft.dispatcher.plugins.link import Link
from failsoft.engines.dramatiq.messages import (
    ACTOR,
    MAX_ENVELOPE_BYTES,
    EnvelopeTemplate,
    Inbox,
    encode,
    pack,
)
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.records.message import Message

WIRE: dict[str, Any] = {"v": 1, "job_id": "job-1", "epoch": 2, "kid": "k1", "mac": "ab" * 32}
HOUR_MS = 3_600_000
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Rejections:
    def __init__(self) -> None:
        self.errors: list[MessageRejectedError] = []
        self.inbox = Inbox(self.errors.append, Link("a broker"))


def envelope(**changes: Any) -> dict[str, Any]:
    packed = pack(Message.from_wire(WIRE), "q")
    fields: dict[str, Any] = json.loads(encode(packed))
    return fields | changes


def test_a_template_makes_what_dramatiq_makes_field_by_field() -> None:
    message = Message.from_wire(WIRE)
    body = EnvelopeTemplate("a-queue").encode(message)

    made = dramatiq.Message.decode(body)

    expected = pack(message, "a-queue").copy(message_timestamp=made.message_timestamp)
    assert made == expected
    assert body == encode(expected)
    assert abs(made.message_timestamp - pack(message, "a-queue").message_timestamp) < HOUR_MS


def test_an_envelope_of_ours_is_read_as_it_was_packed() -> None:
    rejections = Rejections()
    packed = pack(Message.from_wire(WIRE), "q")

    read = rejections.inbox.read(encode(packed), "q")

    assert read is not None
    assert (read.queue_name, read.actor_name, read.args) == ("q", ACTOR, (WIRE,))
    assert (read.kwargs, read.options, rejections.errors) == ({}, {}, [])
    assert len(encode(packed)) <= MAX_ENVELOPE_BYTES


def test_nothing_of_a_strangers_envelope_is_kept() -> None:
    options = {"eta": 9**15, "pipe_target": {}, "on_failure": "evil", "redis_message_id": "r1"}
    body = envelope(queue_name="evil", actor_name="evil", kwargs={"a": 1}, options=options)

    read = Rejections().inbox.read(json.dumps(body).encode(), "q")

    assert read is not None
    assert (read.queue_name, read.actor_name, read.kwargs) == ("q", ACTOR, {})
    assert read.options == {}


@settings(max_examples=150)
@given(st.binary(max_size=1200))
def test_any_bytes_are_dropped_and_reported_once(body: bytes) -> None:
    rejections = Rejections()

    assert rejections.inbox.read(body, "q") is None
    assert len(rejections.errors) == 1


@settings(max_examples=150)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(envelope(), ANYTHING)))
def test_any_envelope_is_dropped_or_is_ours(changes: dict[str, Any]) -> None:
    rejections = Rejections()
    body = json.dumps(envelope() | changes, default=repr).encode()

    read = rejections.inbox.read(body, "q")

    assert (read is None) is (len(rejections.errors) == 1)
    assert read is None or read.args == (WIRE,)


@given(ANYTHING)
def test_reading_imports_nothing(args: object) -> None:
    before = set(sys.modules)

    Rejections().inbox.read(json.dumps(envelope(args=args), default=repr).encode(), "q")

    assert set(sys.modules) == before
