"""Policies, schedules and profiles that make no sense are refused where they are made."""

from dataclasses import fields
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from failsoft.job_engine import (
    Concurrency,
    Cron,
    Debounce,
    Every,
    QueueProfile,
    RateLimit,
    Retention,
    RetryAfterError,
    RetryPolicy,
    Throttle,
    Unique,
    declare_queue,
)
from failsoft.job_engine.errors import DefinitionError, StepError
from tests.unit.bad_input.refusals import (
    NO_CALLABLES,
    NO_SPANS,
    NO_TEXT,
    NO_WHOLE_NUMBERS,
    OUT_OF_SPAN,
    SECOND,
    ZERO,
    refused,
)

NEGATIVE = (-SECOND, timedelta.max)
SPANS = (*NO_SPANS, *OUT_OF_SPAN)
FIELDS = ("user_id", 5, None, ["user_id"], ("",), (5,), ("f" * 129,))
LIMITS = (*NO_WHOLE_NUMBERS, 0, -1, 10_001)
SOME = {"by": (), "period": SECOND}
POLICIES = {"missed": ("never", "", 5, None), "overlap": ("queue", "", 5, None)}
PLANS = {**POLICIES, "jitter": (*NO_SPANS, *NEGATIVE), "payload": (5, "text", {"user_id": 7})}

#: Of each class, what it needs besides, and what each of its attributes may not be.
TABLES: dict[type, tuple[dict[str, Any], dict[str, tuple[Any, ...]]]] = {
    RetryPolicy: (
        {},
        {
            "max_attempts": (*NO_WHOLE_NUMBERS, 0, -1, 1_000_001),
            "wait": (5, 5.0, SECOND, "5s", None, [], [5], [SECOND, 5], [-SECOND], [timedelta.max]),
            "non_retryable": (
                ValueError,
                [ValueError],
                (5,),
                ("ValueError",),
                (KeyboardInterrupt,),
            ),
        },
    ),
    Retention: (
        {"age": SECOND},
        {"age": (*NO_SPANS, *NEGATIVE), "count": ("5", 5.0, True, SECOND, -1)},
    ),
    Unique: (
        {"by": ()},
        {
            "by": FIELDS,
            "while_incomplete": (1, "yes", None),
            "period": tuple(value for value in SPANS if value is not None),
        },
    ),
    Debounce: (
        SOME,
        {
            "by": FIELDS,
            "period": SPANS,
            "max_wait": (*(v for v in SPANS if v is not None), SECOND / 2),
        },
    ),
    Concurrency: (
        {"limit": 1},
        {"limit": LIMITS, "by": FIELDS, "name": (5, b"name", "", "n" * 129, "n\0")},
    ),
    RateLimit: (
        {"limit": 1, "period": SECOND},
        {
            "limit": LIMITS,
            "period": SPANS,
            "by": FIELDS,
            "name": (5, b"name", "", "n" * 129, "n\0"),
        },
    ),
    Throttle: (SOME, {"by": FIELDS, "period": SPANS}),
    Cron: (
        {"expression": "* * * * *"},
        {
            **PLANS,
            "expression": (*NO_TEXT, "", "@daily", "* * * *", "61 * * * *", "0 0 30 2 *"),
            "tz": (5, None, ZoneInfo("UTC"), "", "Mars/Olympus", "../../etc/passwd", "a\0b"),
        },
    ),
    Every: (
        {"interval": SECOND},
        {**PLANS, "interval": (*SPANS, SECOND / 2)},
    ),
    QueueProfile: (
        {"name": "reports"},
        {
            "name": (*NO_TEXT, "", "Reports", "a b", "r" * 49),
            "isolation": ("coroutine", "", 5, None),
            "slots": (*NO_WHOLE_NUMBERS, 0, -1, 10_001),
            "slots_by": (5, "rq", [("rq", 1)], {5: 1}, {"rq": 0}, {"rq": True}, {"rq": 10_001}),
            "timeout": SPANS,
            "lease": SPANS,
            "pickup": SPANS,
            "overflow": (1, "yes", None),
        },
    ),
}
ROWS = [
    (kind, needed, name, value)
    for kind, (needed, table) in TABLES.items()
    for name, values in table.items()
    for value in values
    if not (kind is Cron and name == "payload" and value is None)
]


@pytest.mark.parametrize(
    ("kind", "needed", "name", "value"),
    ROWS,
    ids=[f"{n}-{row[0].__name__}-{row[2]}-{type(row[3]).__name__}" for n, row in enumerate(ROWS)],
)
def test_an_attribute_that_could_not_work(
    kind: type, needed: dict[str, Any], *, name: str, value: Any
) -> None:
    refused(DefinitionError, lambda: kind(**{**needed, name: value}))


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_no_attribute_is_left_out(kind: Any) -> None:
    assert set(TABLES[kind][1]) == {each.name for each in fields(kind) if each.name != "_"}


@pytest.mark.parametrize(
    ("kind", "contradiction"),
    [
        (Unique, {"by": (), "while_incomplete": True, "period": SECOND}),
        (Cron, {"expression": "* * * * *", "missed": "all", "overlap": "skip"}),
        (Every, {"interval": SECOND, "missed": "all", "overlap": "skip"}),
    ],
)
def test_attributes_that_contradict_each_other(kind: type, contradiction: dict[str, Any]) -> None:
    assert "both" in refused(DefinitionError, lambda: kind(**contradiction))


@pytest.mark.parametrize("delay", [*NO_SPANS, *NEGATIVE])
def test_a_job_that_requests_another_attempt_says_when(delay: Any) -> None:
    refused(StepError, lambda: RetryAfterError(delay))


def test_another_attempt_may_be_requested_at_once() -> None:
    assert RetryAfterError(ZERO).delay == ZERO


@pytest.mark.parametrize("profile", [*NO_CALLABLES, {"name": "reports"}])
def test_only_a_profile_is_declared(profile: Any) -> None:
    refused(DefinitionError, lambda: declare_queue(profile))


def test_a_bare_number_is_refused_with_how_a_span_is_written() -> None:
    message = refused(DefinitionError, lambda: Every(60))  # type: ignore[arg-type]  # the point

    assert message.endswith(
        "expected an interval as a timedelta, got 60; write timedelta(seconds=60)"
    )
