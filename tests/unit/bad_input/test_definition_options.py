"""Options of `@job` and `declare_job` that could not work are refused where they are written."""

from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import (
    Concurrency,
    Debounce,
    Every,
    JobFailure,
    RateLimit,
    Retention,
    Throttle,
    Unique,
    declare_job,
    job,
)
from failsoft.job_engine.declaration import JobOptions
from failsoft.job_engine.errors import DefinitionError, UnknownQueueError
from failsoft.job_engine.policies.checks import CHECKS, OPTIONAL
from tests.unit.bad_input.refusals import (
    NO_SPANS,
    NO_TEXT,
    NO_WHOLE_NUMBERS,
    OUT_OF_SPAN,
    SECOND,
    each,
    refused,
)
from tests.unit.support.attempts import Mail, define

UNIQUE = Unique(by=())
ONE = declare_job("one", payload=JobFailure)

WRONG_TYPE = {
    "retry": (3, None, {"max_attempts": 3}),
    "timeout": NO_SPANS,
    "priority": NO_WHOLE_NUMBERS,
    "engines": ("rq", ["rq"], 5, None, ("rq", 5)),
    "tags": ("mail", ["mail"], {"mail"}, None, ("mail", None)),
    "unique": ("user_id", ("user_id",), True, SECOND),
    "debounce": (SECOND, UNIQUE),
    "throttle": (SECOND, UNIQUE),
    "concurrency": (5, SECOND, UNIQUE),
    "rate_limit": (5, SECOND, Concurrency(limit=1)),
    "keep_succeeded": (timedelta(days=1), 1000, None),
    "keep_failed": (timedelta(days=1), 1000, None),
    "idempotency_for": NO_SPANS,
    "schedule": ("0 * * * *", timedelta(hours=1), 60),
    "on_failure": ("one", define, JobFailure),
    "version": NO_WHOLE_NUMBERS,
}
OUT_OF_RANGE = {
    "timeout": OUT_OF_SPAN,
    "priority": (-101, 101, 10**30),
    "engines": (("",), ("e" * 65,), ("r\nq",), ("r\0q",)),
    "tags": (("",), ("t" * 65,), ("a\tb",), ("\ud800",)),
    "unique": (Unique(by=("nobody",)),),
    "debounce": (Debounce(by=("nobody",), period=SECOND),),
    "throttle": (Throttle(by=("nobody",), period=SECOND),),
    "concurrency": (Concurrency(limit=1, by=("nobody",)),),
    "rate_limit": (RateLimit(limit=1, period=SECOND, by=("nobody",)),),
    "idempotency_for": OUT_OF_SPAN,
    "schedule": (Every(SECOND, payload=JobFailure.model_construct()),),
    "on_failure": (declare_job("other", payload=Mail),),
    "version": (0, -1, 1_000_001),
}
#: Whose values refuse what is out of range themselves: see the tables of `test_policies.py`.
CHECKED_BY_THEMSELVES = {"retry", "keep_succeeded", "keep_failed"}


@each(WRONG_TYPE, OPTIONAL)
def test_a_wrong_type(option: str, value: Any) -> None:
    refused(DefinitionError, lambda: define(lambda ctx: None, **{option: value}))


@each(OUT_OF_RANGE)
def test_a_value_out_of_range(option: str, value: Any) -> None:
    refused(DefinitionError, lambda: define(lambda ctx: None, **{option: value}))


def test_no_option_is_left_out() -> None:
    assert set(WRONG_TYPE) == set(JobOptions.__annotations__)
    assert set(OUT_OF_RANGE) | CHECKED_BY_THEMSELVES == set(JobOptions.__annotations__)
    assert set(CHECKS) | {"on_failure"} == set(JobOptions.__annotations__)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique": UNIQUE, "throttle": Throttle(by=(), period=SECOND)}, "one of unique"),
        ({"schedule": Every(SECOND), "debounce": Debounce(by=(), period=SECOND)}, "or a debounce"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    assert message in refused(DefinitionError, lambda: define(lambda ctx: None, **options))


@pytest.mark.parametrize(
    ("misspelled", "meant"),
    [("retires", "retry"), ("time_out", "timeout"), ("tag", "tags"), ("nothing_like_it", "retry")],
)
def test_an_option_that_there_is_not(misspelled: str, meant: str) -> None:
    message = refused(DefinitionError, lambda: define(lambda ctx: None, **{misspelled: 1}))
    again = refused(
        DefinitionError,
        lambda: declare_job("a", payload=Mail, **{misspelled: 1}),  # type: ignore[arg-type]
    )

    assert misspelled in message
    assert meant in message
    assert again.partition(": ")[2] == message.partition(": ")[2]


@pytest.mark.parametrize("queue", [5, None, [], "emails", Retention(age=SECOND)])
def test_a_queue_that_there_is_not(queue: Any) -> None:
    refused(UnknownQueueError, lambda: define(lambda ctx: None, queue=queue))


@pytest.mark.parametrize("name", [*NO_TEXT, "", "a b", "a\0"])
def test_a_name(name: Any) -> None:
    refused(DefinitionError, lambda: declare_job(name, payload=Mail))


@pytest.mark.parametrize("handler", [5, None, "send", object()])
def test_a_handler_that_cannot_be_called(handler: Any) -> None:
    refused(DefinitionError, lambda: job()(handler))
    refused(DefinitionError, lambda: declare_job("send", payload=Mail).bind(handler))


@pytest.mark.parametrize("from_version", [*NO_WHOLE_NUMBERS, 0, -1, 2, 3])
def test_an_upgrade_from_no_older_version(from_version: Any) -> None:
    parcel = declare_job("parcel", payload=Mail, version=2)

    refused(DefinitionError, lambda: parcel.upgrade(from_version=from_version)(dict))


@pytest.mark.parametrize("upcaster", [5, "dict", None])
def test_an_upgrade_that_cannot_be_called(upcaster: Any) -> None:
    parcel = declare_job("parcel", payload=Mail, version=2)

    refused(DefinitionError, lambda: parcel.upgrade(from_version=1)(upcaster))
