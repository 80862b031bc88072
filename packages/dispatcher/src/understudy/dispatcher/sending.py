"""Sending the events that jobs wait for."""

import json
import secrets
from datetime import timedelta
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from understudy.dispatcher.handle import JobHandle
from understudy.job_engine.awaited import KEEP_EVENTS, MAX_KEY_CHARS, SentEvent, event_topic
from understudy.job_engine.codec import MAX_PAYLOAD_BYTES
from understudy.job_engine.errors import (
    OptionInvalidError,
    PayloadInvalidError,
    PayloadTooLargeError,
)
from understudy.job_engine.message import is_job_id

_MAX_NAME_CHARS = 128


def new_event(
    name: str,
    payload: object,
    *,
    to: "JobHandle[Any] | str | None",
    key: str | None,
    event_id: str | None,
    keep: timedelta | None,
) -> SentEvent:
    """Make an event of what a program sends.

    Raises:
        DispatchError: Something is wrong; nothing was stored.
    """
    _expect(0 < len(name) <= _MAX_NAME_CHARS, f"a name of 1 to {_MAX_NAME_CHARS} characters", name)
    _expect((to is None) != (key is None), "a job or a key to send to", "both or neither")
    _expect(key is None or 0 < len(key) <= MAX_KEY_CHARS, f"a key of 1 to {MAX_KEY_CHARS}", key)
    _expect(event_id is None or is_job_id(event_id), "an event id like a job's", event_id)
    span = KEEP_EVENTS if keep is None else keep
    _expect(span > timedelta(0), "to keep it longer than zero", span)
    job_id = to.id if isinstance(to, JobHandle) else to
    _expect(job_id is None or is_job_id(job_id), "a job id", job_id)
    topic = event_topic(name, key=key) if key is not None else event_topic(name, job_id=job_id)
    return SentEvent(event_id or secrets.token_hex(16), topic, name, _text(payload), span)


def _text(payload: object) -> str:
    try:
        text = to_json(payload, inf_nan_mode="strings").decode()
        json.loads(text)
    except (PydanticSerializationError, ValueError) as error:
        raise PayloadInvalidError(f"the event cannot be written as JSON: {error}") from error
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(
            f"expected an event of at most {MAX_PAYLOAD_BYTES} bytes, got {len(text.encode())}; "
            "store it elsewhere and send a reference to it"
        )
    return text


def _expect(met: bool, expected: str, got: object) -> None:
    if not met:
        raise OptionInvalidError(f"send_event: expected {expected}, got {got!r}")
