"""`produce`: a record for a topic, in the transaction of a `tx` step."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from failsoft.engine_api import OutboxRecord, StepError, put_in_outbox


def produce(  # noqa: PLR0917 - a step's own arguments are typed by their places
    connection: object,
    topic: str,
    value: object,
    key: str | bytes | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    engine: str = "kafka",
) -> None:
    """Put a record for a topic into the outbox; `failsoft worker kafka` publishes it (rule 28).

    It is published if, and only if, the step's transaction commits: at least once, each time with
    the same header `failsoft-id`, and in order with the others of its topic and key. As a step of
    its own: `ctx.run("announce", produce, "orders", {"id": 7}, "7", tx=True)`; or called anywhere
    in the function of a `tx` step.

    Args:
        connection: What a `tx` step's function is given.
        topic: The topic; a missing one is waited for.
        value: Bytes or text as they are, a pydantic model or plain values as JSON, None for a
            tombstone.
        key: Which records it is in order with, and what chooses its partition.
        headers: Its headers; none that begins with `failsoft-`.
        engine: The engine's name, where it has an alias.

    Raises:
        StepError: No `tx` step is open here, or no broker would take the record.
    """
    record = OutboxRecord(
        engine,
        topic,
        _encoded(value),
        key.encode() if isinstance(key, str) else key,
        tuple((name, _as_bytes(each)) for name, each in (headers or {}).items()),
    )
    put_in_outbox(record)


def _encoded(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, BaseModel):
        return value.model_dump_json().encode()
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise StepError(
            f"outbox: expected a value of bytes, text, a model or JSON, got {type(value).__name__}:"
            f" {error}"
        ) from error


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
