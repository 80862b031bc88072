"""How much of a message RabbitMQ's client keeps: no more than tells that it is too large."""

from typing import Any

from pika import frame
from pika.channel import ContentFrameAssembler

from failsoft.engines.dramatiq.messages import MAX_ENVELOPE_BYTES

# pika has no types, and no public way to bound a body.
_Assembler: Any = ContentFrameAssembler


class _BoundedAssembler(_Assembler):  # type: ignore[misc]  # as above
    """Counts the frames of a body, and keeps only the first of one that is longer than ours.

    RabbitMQ delivers bodies of up to 512 MB in frames of 128 KB, which pika would keep until the
    last one. What is delivered of such a body is refused for its length.
    """

    def _handle_body_frame(self, body_frame: frame.Body) -> Any:
        kept = sum(map(len, self._body_fragments))
        result = super()._handle_body_frame(body_frame)
        if kept > MAX_ENVELOPE_BYTES and self._body_fragments:
            self._body_fragments.pop()
        return result


def bounded_assembler() -> Any:
    """Return what puts the frames of deliveries together for one channel of pika's."""
    return _BoundedAssembler()
