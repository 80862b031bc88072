"""Our messages as tasks of Celery's: how they are packed, and what is let in.

A foreign task may name any function, carry pickled objects, a compressed body, callbacks that
publish other tasks, or a time until which it is kept in memory. Nothing of it is used: what is let
in is our own message, and it is handed on without anything that came with it.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from failsoft.engine_api import Message, MessageRejectedError

#: The one task there is, on every queue.
TASK = "failsoft.process"
#: How its arguments are encoded; no other encoding is decoded.
JSON = "application/json"
ENCODING = "utf-8"
#: No task of ours is longer, in bytes with everything around it.
MAX_BYTES = 4096
TOO_LARGE = f"expected a task of at most {MAX_BYTES} bytes, got a longer one"

_NO_FOLLOW_UPS: Mapping[str, None] = {
    "callbacks": None,
    "errbacks": None,
    "chain": None,
    "chord": None,
}


def headers_of(message: Message) -> dict[str, Any]:
    """Return the headers of the task, by version 2 of Celery's protocol."""
    task_id = id_of(message)
    return {
        "lang": "py",
        "task": TASK,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        # What Celery's tools show: without the MAC, which nothing else has a use for.
        "argsrepr": f"({message.job_id!r},)",
        "kwargsrepr": "{}",
        "origin": "failsoft",
        "ignore_result": True,
    }


def body_of(message: Message) -> bytes:
    """Return the arguments of the task."""
    return json.dumps([[message.to_wire()], {}, _NO_FOLLOW_UPS], separators=(",", ":")).encode()


def id_of(message: Message) -> str:
    """Return the id of the task: every epoch of a job is a task of its own."""
    return f"{message.job_id}-{message.epoch}"


def redis_text(message: Message, queue: str) -> bytes:
    """Return the element of a Redis list that carries the task, as Kombu writes it."""
    return json.dumps(
        {
            "body": base64.b64encode(body_of(message)).decode(),
            "content-encoding": ENCODING,
            "content-type": JSON,
            "headers": headers_of(message),
            "properties": {
                "correlation_id": id_of(message),
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                # Of the copy, not of the offer: Kombu keeps what is not acknowledged under it.
                "delivery_tag": str(uuid4()),
            },
        },
        separators=(",", ":"),
    ).encode()


def read_redis(text: bytes) -> Message:
    """Return the message of ours in an element of a Redis list.

    Raises:
        MessageRejectedError: It holds anything else.
    """
    if len(text) > MAX_BYTES:
        raise MessageRejectedError(TOO_LARGE)
    try:
        found = json.loads(text)
        headers, body = found["headers"], base64.b64decode(found["body"], validate=True)
        content = found["content-type"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _not_ours() from error
    return read_task(headers, content, body)


def read_task(headers: object, content_type: object, body: object) -> Message:
    """Return the message of ours that a task carries.

    Raises:
        MessageRejectedError: It carries anything else, or in another encoding than JSON.
    """
    if not isinstance(body, bytes) or not isinstance(headers, Mapping):
        raise _not_ours()
    if len(body) > MAX_BYTES:
        raise MessageRejectedError(TOO_LARGE)
    if headers.get("task") != TASK:
        raise MessageRejectedError(f"expected the task {TASK}, got another")
    if content_type != JSON:
        raise MessageRejectedError(f"expected a task in {JSON}, got another encoding")
    try:
        (wire,), _, _ = json.loads(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_ours() from error
    return Message.from_wire(wire)


def _not_ours() -> MessageRejectedError:
    return MessageRejectedError("expected a task of ours, got something else")
