"""Our messages inside Dramatiq's envelope: how they are packed, and what is let in.

A foreign envelope may name any actor, carry callbacks and pipelines, or a delay for which it would
be kept in memory. Nothing of it is used: what is let in is built anew from the five fields of our
own message.
"""

import json
import re
import time
from collections.abc import Callable
from typing import Any, Protocol

import dramatiq
from failsoft.engine_api import Message, MessageRejectedError

#: The one actor there is, on every queue.
ACTOR = "failsoft"
#: No envelope is longer, in bytes.
MAX_ENVELOPE_BYTES = 1024
TOO_LARGE = f"expected at most {MAX_ENVELOPE_BYTES} bytes, got more"

Envelope = dramatiq.Message[Any]

#: As short as JSON can be.
_JSON = json.JSONEncoder(separators=(",", ":"))
#: What stands in a template for what differs between messages; in no name of a queue.
_WIRE, _ID, _MOMENT = "<wire>", "<id>", 10**17


def pack(message: Message, queue_name: str) -> Envelope:
    """Return the Dramatiq message that carries ours."""
    return dramatiq.Message(queue_name, ACTOR, (message.to_wire(),), {}, {}, _id_of(message))


def encode(envelope: Envelope) -> bytes:
    """Return an envelope as JSON, whatever encoder the application gave to Dramatiq."""
    return _JSON.encode(envelope.asdict()).encode()


def _id_of(message: Message) -> str:
    return f"{message.job_id}-{message.epoch}"


class EnvelopeTemplate:
    """What `encode` makes of the envelopes of one queue, but for what differs between messages."""

    def __init__(self, queue_name: str) -> None:
        """Read from an envelope of the installed Dramatiq what all of them have."""
        sample: Envelope = dramatiq.Message(queue_name, ACTOR, (_WIRE,), {}, {}, _ID, _MOMENT)
        text = encode(sample).decode()
        marks = {json.dumps(_WIRE): "wire", json.dumps(_ID): "id", json.dumps(_MOMENT): "moment"}
        #: Text, then the name of what varies, and so on; text at the end.
        self._parts = [marks.get(each, each) for each in re.split(f"({'|'.join(marks)})", text)]

    def encode(self, message: Message) -> bytes:
        """Return the envelope of a message, made now."""
        parts = self._parts.copy()
        varying = {
            "wire": _JSON.encode(message.to_wire()),
            "id": _JSON.encode(_id_of(message)),
            "moment": str(int(time.time() * 1000)),
        }
        parts[1::2] = [varying[name] for name in parts[1::2]]
        return "".join(parts).encode()


class Link(Protocol):
    """Where consumers note whether the broker answers."""

    def answered(self) -> None:
        """Note that it answers."""
        ...

    def lost(self, reason: object) -> None:
        """Note that it does not, and why."""
        ...


class Unwatched:
    """A link that notes nothing."""

    def answered(self) -> None:
        """Do nothing."""

    def lost(self, reason: object) -> None:
        """Do nothing."""


class Inbox:
    """Where the worker side reads what a broker delivers.

    Every message that is dropped goes to `rejected`.

    Attributes:
        link: Where its consumers note whether the broker answers.
    """

    def __init__(
        self, rejected: Callable[[MessageRejectedError], None], link: Link | None = None
    ) -> None:
        self._rejected = rejected
        self.link: Link = link or Unwatched()

    def read(self, body: bytes, queue_name: str) -> Envelope | None:
        """Return the envelope of a message of ours; None if it is anything else."""
        try:
            return pack(unpack(body), queue_name)
        except MessageRejectedError as error:
            self._rejected(error)
            return None

    def reject_too_large(self) -> None:
        """Count a message that was dropped unread, because of its size."""
        self._rejected(MessageRejectedError(TOO_LARGE))


def unpack(body: bytes) -> Message:
    """Return the message of ours that an envelope carries.

    Raises:
        MessageRejectedError: If it is anything else.
    """
    if len(body) > MAX_ENVELOPE_BYTES:
        raise MessageRejectedError(TOO_LARGE)
    try:
        fields = json.loads(body)
        (wire,) = fields["args"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MessageRejectedError("expected an envelope of ours, got something else") from error
    return Message.from_wire(wire)
