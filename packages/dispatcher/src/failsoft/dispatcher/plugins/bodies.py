"""Messages as bytes, for brokers that carry bytes."""

import json

from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.records.message import Message

#: No message of ours is longer.
MAX_BYTES = 1024


def to_body(message: Message) -> bytes:
    """Return a message as JSON in UTF-8."""
    return json.dumps(message.to_wire(), separators=(",", ":")).encode()


def from_body(body: bytes | None) -> object:
    """Return what a body holds; whether that is a message of ours, the worker process decides.

    Raises:
        MessageRejectedError: If it is too long, or no JSON.
    """
    if body is None or len(body) > MAX_BYTES:
        got = "none" if body is None else f"{len(body)}"
        raise MessageRejectedError(f"expected a body of at most {MAX_BYTES} bytes, got {got}")
    try:
        # Decoded first: `json.loads` would look which encoding it is.
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        raise MessageRejectedError("expected a body of JSON, got something else") from None
