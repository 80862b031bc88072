"""What every refusal has in common: one clear error, and nothing else."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from failsoft.job_engine import FailsoftError

ZERO = timedelta(0)
SECOND = timedelta(seconds=1)
NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 - that is what is wrong with it
TOO_LATE = datetime(3000, 1, 1, tzinfo=UTC)
#: What each kind of option is given that is none of its kind, and what the message says.
NO_SPANS: tuple[Any, ...] = (5, 5.0, "5s", True, None, SECOND.total_seconds)
NO_WHOLE_NUMBERS: tuple[Any, ...] = ("5", 5.0, True, None, SECOND)
NO_TEXT: tuple[Any, ...] = (5, b"text", ["text"], None)
NO_CALLABLES: tuple[Any, ...] = (5, "text", None)
OUT_OF_SPAN: tuple[Any, ...] = (ZERO, -SECOND, timedelta.max, timedelta(days=36_501))

Rows = Mapping[str, tuple[Any, ...]]


def each(rows: Rows, optional: Collection[str] = ()) -> Any:
    """Parametrise a test with every value of every option; None is right where it is optional."""
    pairs = [
        (option, value)
        for option, values in rows.items()
        for value in values
        if value is not None or option not in optional
    ]
    ids = [f"{n}-{option}-{type(value).__name__}" for n, (option, value) in enumerate(pairs)]
    return pytest.mark.parametrize(("option", "value"), pairs, ids=ids)


def refused(error: type[FailsoftError], act: Callable[[], object]) -> str:
    """Expect one clear error; return its message."""
    with pytest.raises(error) as caught:
        act()
    text = str(caught.value)
    assert re.search(r"expected .*got ", text, re.DOTALL), text
    return text
