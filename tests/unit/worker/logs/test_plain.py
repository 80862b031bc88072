"""The supervisor's lines have the form of every other process's."""

import json
import logging
import re

import pytest

from failsoft.worker.logs.output import _formatter
from failsoft.worker.logs.plain import PlainFormatter

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
SECRET = "redis://ada:hunter2@cache:6379"


def record(message: str, *, failed: bool = False) -> logging.LogRecord:
    error = (ValueError, ValueError(SECRET), None) if failed else None
    name = "failsoft.supervisor"
    return logging.LogRecord(name, logging.WARNING, __file__, 1, "%s", (message,), error)


@pytest.mark.parametrize("message", ["rq:default ended", f"of {SECRET}", "two\nlines \x1b[31mred"])
@pytest.mark.parametrize("failed", [False, True])
def test_json_has_the_fields_of_the_others(message: str, failed: bool) -> None:
    plain = json.loads(PlainFormatter(as_json=True).format(record(message, failed=failed)))
    other = json.loads(_formatter(as_json=True).format(record(message, failed=failed)))

    assert MOMENT.fullmatch(plain.pop("timestamp"))
    assert MOMENT.fullmatch(other.pop("timestamp"))
    assert plain == other
    assert "hunter2" not in str(plain)


@pytest.mark.parametrize("message", ["rq:default ended", f"of {SECRET}", "two\nlines \x1b[31mred"])
@pytest.mark.parametrize("failed", [False, True])
def test_text_is_as_the_others_is_without_colours(message: str, failed: bool) -> None:
    plain, other = (
        MOMENT.sub("MOMENT", STYLE.sub("", each.format(record(message, failed=failed)))).split()
        for each in (PlainFormatter(as_json=False), _formatter(as_json=False))
    )

    assert plain == other
    assert "hunter2" not in str(plain)
