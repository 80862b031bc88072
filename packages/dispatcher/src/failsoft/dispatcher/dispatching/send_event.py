"""Sending the events that jobs wait for."""

import secrets
from datetime import timedelta
from typing import Any

from failsoft.dispatcher.handles.job import JobHandle
from failsoft.job_engine.errors import (
    OptionInvalidError,
    PayloadInvalidError,
    PayloadTooLargeError,
    ResultInvalidError,
)
from failsoft.job_engine.records.message import is_job_id
from failsoft.job_engine.records.waits import (
    KEEP_EVENTS,
    MAX_KEY_CHARS,
    MAX_NAME_CHARS,
    SentEvent,
    event_topic,
)
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_freely

_EXPECT = Expect(OptionInvalidError, "send_event: ")


def new_event(
    name: str,
    payload: object,
    *,
    to: "JobHandle[Any] | str | None",
    key: str | None,
    event_id: str | None,
    keep: timedelta | None,
) -> SentEvent:
    """Make the event of `Dispatcher.send_event`.

    Raises:
        DispatchError: An argument is wrong.
    """
    _EXPECT.text("a name", name, most=MAX_NAME_CHARS)
    _EXPECT.that((to is None) != (key is None), "a job or a key to send to", "both or neither")
    if key is not None:
        _EXPECT.text("a key", key, most=MAX_KEY_CHARS)
    if event_id is not None:
        _EXPECT.value(is_job_id(event_id), "an event id like a job's", event_id)
    span = KEEP_EVENTS if keep is None else keep
    _EXPECT.span("a keep", span)
    job_id = to.id if isinstance(to, JobHandle) else to
    if job_id is not None:
        _EXPECT.value(is_job_id(job_id), "a job id or a handle", job_id)
    topic = event_topic(name, key=key) if key is not None else event_topic(name, job_id=job_id)
    return SentEvent(event_id or secrets.token_hex(16), topic, name, _text(payload), span)


def _text(payload: object) -> str:
    try:
        text = encode_freely(payload)
    except ResultInvalidError as error:
        raise PayloadInvalidError(f"the event cannot be written as JSON: {error}") from error
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(
            f"expected an event of at most {MAX_PAYLOAD_BYTES} bytes, got {len(text.encode())}; "
            "store it elsewhere and send a reference to it"
        )
    return text
