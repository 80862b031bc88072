"""What is let in of a task: our own message in JSON, and nothing that came with it."""

import json
from typing import Any

import pytest

from failsoft.engines.celery.messages import (
    JSON,
    MAX_BYTES,
    TASK,
    body_of,
    headers_of,
    read_redis,
    read_task,
    redis_text,
)
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.testing.engine_suite.bench import new_message

MESSAGE = new_message("a" * 64, 2**31 - 1)


def test_a_message_comes_back_as_it_was_packed() -> None:
    assert read_task(headers_of(MESSAGE), JSON, body_of(MESSAGE)) == MESSAGE
    assert read_redis(redis_text(MESSAGE, "failsoft-default")) == MESSAGE


def test_the_longest_message_is_within_the_bound() -> None:
    assert len(redis_text(MESSAGE, "q" * 128)) < MAX_BYTES


def test_what_tools_show_of_a_task_has_no_mac() -> None:
    assert MESSAGE.mac not in json.dumps(headers_of(MESSAGE))


def test_copies_of_an_offer_have_tags_of_their_own() -> None:
    tags = {json.loads(redis_text(MESSAGE, "q"))["properties"]["delivery_tag"] for _ in range(2)}

    assert len(tags) == 2


@pytest.mark.parametrize(
    ("headers", "content_type", "body"),
    [
        (None, JSON, body_of(MESSAGE)),
        ({**headers_of(MESSAGE), "task": "os.system"}, JSON, body_of(MESSAGE)),
        ({**headers_of(MESSAGE), "task": [TASK]}, JSON, body_of(MESSAGE)),
        (headers_of(MESSAGE), "application/x-python-serialize", body_of(MESSAGE)),
        (headers_of(MESSAGE), None, body_of(MESSAGE)),
        (headers_of(MESSAGE), JSON, body_of(MESSAGE).decode()),
        (headers_of(MESSAGE), JSON, None),
        (headers_of(MESSAGE), JSON, b""),
        (headers_of(MESSAGE), JSON, b" " * (MAX_BYTES + 1)),
        (headers_of(MESSAGE), JSON, b"[[1, 2], {}, {}]"),
        (headers_of(MESSAGE), JSON, b'{"args": [], "kwargs": {}, "embed": {}}'),
        (headers_of(MESSAGE), JSON, b"[" * MAX_BYTES),
    ],
)
def test_anything_else_is_rejected(headers: Any, content_type: Any, body: Any) -> None:
    with pytest.raises(MessageRejectedError):
        read_task(headers, content_type, body)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"headers": {}, "body": "%%", "content-type": "application/json"}',
        b'{"headers": {}, "body": 7, "content-type": "application/json"}',
        b"[" * MAX_BYTES,
        b" " * (MAX_BYTES + 1),
    ],
)
def test_an_element_of_a_list_that_is_no_task_is_rejected(text: bytes) -> None:
    with pytest.raises(MessageRejectedError):
        read_redis(text)
