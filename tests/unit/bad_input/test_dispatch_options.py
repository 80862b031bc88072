"""Wrong dispatches are refused with one clear error, and nothing is stored or sent."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import DispatchOptions, DispatchRequest, Many
from failsoft.dispatcher.options.checks import CHECKS, OPTIONAL
from failsoft.job_engine import Concurrency, Debounce, RateLimit, Throttle, Unique, declare_job
from failsoft.job_engine.errors import DispatchError, PayloadInvalidError
from failsoft.job_engine.values.codec import MAX_DEPTH
from tests.unit.bad_input.refusals import (
    NAIVE,
    NO_SPANS,
    NO_TEXT,
    NO_WHOLE_NUMBERS,
    OUT_OF_SPAN,
    SECOND,
    TOO_LATE,
    each,
    refused,
)
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

NO_MOMENTS: tuple[Any, ...] = (5, "2030-01-01", SECOND, NAIVE, NAIVE.date(), NAIVE.timestamp())

WRONG_TYPE = {
    "job_id": (5, b"id", ["id"]),
    "idempotency_key": NO_TEXT,
    "idempotency_for": NO_SPANS,
    "on_duplicate": (5, None, True),
    "unique": ("user_id", ("user_id",), True),
    "debounce": (SECOND, 5),
    "throttle": (SECOND, 5),
    "concurrency": (SECOND, 5),
    "rate_limit": (SECOND, 5),
    "delay": NO_SPANS,
    "run_at": NO_MOMENTS,
    "expires_at": NO_MOMENTS,
    "expires_in": NO_SPANS,
    "queue": (5, None, ["default"]),
    "priority": NO_WHOLE_NUMBERS,
    "engines": ("rq", 5, None, {"rq"}, ["rq", 5]),
    "tags": ("mail", 5, None, {"mail"}, ["mail", None]),
    "session": (5, "session"),
    "confirm": (5, None, True),
    "budget": NO_SPANS,
    "pickup": NO_SPANS,
    "shard": NO_TEXT,
}
OUT_OF_RANGE = {
    "job_id": ("", "a b", "a/b", "a" * 65, "a\0"),
    "idempotency_key": ("", "k" * 256, "k\0", "k\n", "\ud800"),
    "idempotency_for": (*OUT_OF_SPAN, SECOND),
    "on_duplicate": ("keep", ""),
    "unique": (Unique(by=("nobody",)),),
    "debounce": (Debounce(by=("nobody",), period=SECOND),),
    "throttle": (Throttle(by=("nobody",), period=SECOND),),
    "concurrency": (Concurrency(limit=1, by=("nobody",)),),
    "rate_limit": (RateLimit(limit=1, period=SECOND, by=("nobody",)),),
    "delay": (-SECOND, timedelta.max),
    "run_at": (TOO_LATE,),
    "expires_at": (TOO_LATE,),
    "expires_in": OUT_OF_SPAN,
    "queue": ("", "defaultt", "q" * 65),
    "priority": (-101, 101, 10**30),
    "engines": (["kafka"], [""], ["e" * 65]),
    "tags": ([""], ["t" * 65], ["a\0"]),
    "confirm": ("claimed", ""),
    "budget": OUT_OF_SPAN,
    "pickup": OUT_OF_SPAN,
    "shard": ("", "s" * 256, "s\0", "\ud800"),
}


def expect_untouched(app: MemoryApp) -> None:
    messages = app.offered(app.rq) + app.offered(app.dramatiq)
    assert [app.ledger.counts(), messages, app.events] == [{}, [], []]


@each(WRONG_TYPE, OPTIONAL)
def test_a_wrong_type(option: str, value: Any) -> None:
    app = MemoryApp()

    refused(DispatchError, lambda: app.dispatch(**{option: value}))
    expect_untouched(app)


@each(OUT_OF_RANGE)
def test_a_value_out_of_range(option: str, value: Any) -> None:
    app = MemoryApp()

    refused(DispatchError, lambda: app.dispatch(**{option: value}))
    expect_untouched(app)


def test_no_option_is_left_out() -> None:
    known = set(DispatchOptions.__annotations__)

    assert set(WRONG_TYPE) == set(CHECKS) == known
    assert set(OUT_OF_RANGE) | {"session"} == known


@pytest.mark.parametrize("misspelled", ["dealy", "idempotency", "timeout"])
def test_an_option_that_there_is_not(misspelled: str) -> None:
    app = MemoryApp()

    message = refused(DispatchError, lambda: app.dispatch(**{misspelled: SECOND}))

    assert repr(misspelled) in message
    expect_untouched(app)


class Anything(BaseModel):
    value: Any = None
    number: float = 0.0


ANYTHING = declare_job("anything", payload=Anything)


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {"value": 1},
        Anything,
        Mail(),
        Anything(value={1: "one"}),
        Anything(value={(1, 2): "pair"}),
        Anything(value=float("nan")),
        Anything(number=float("nan")),
        Anything(number=float("inf")),
        Anything(value=object()),
        Anything(value={1, 2}),
        Anything(value="\ud800"),
        Anything(value="x" * 65_536),
        Anything(value=nested(MAX_DEPTH)),
        Anything(value=nested(100_000)),
    ],
    ids=lambda payload: f"{type(payload).__name__}",
)
def test_a_payload_that_the_ledger_could_not_keep(payload: Any) -> None:
    app = MemoryApp()

    with pytest.raises(DispatchError):
        app.dispatcher.dispatch(ANYTHING, payload)
    expect_untouched(app)


def test_a_payload_may_nest_so_deep() -> None:
    app = MemoryApp()

    handle = app.dispatcher.dispatch(ANYTHING, Anything(value=nested(MAX_DEPTH - 2)))

    assert handle.created
    with pytest.raises(PayloadInvalidError, match=f"at most {MAX_DEPTH} deep"):
        app.dispatcher.dispatch(ANYTHING, Anything(value=nested(MAX_DEPTH - 1)))


@pytest.mark.parametrize("job", [5, "welcome", None, MemoryApp, lambda payload, ctx: None])
def test_what_is_no_job(job: Any) -> None:
    app = MemoryApp()

    for dispatch in (
        lambda: app.dispatcher.dispatch(job, Mail()),
        lambda: app.dispatcher.dispatch_many(job, [Mail()]),
        lambda: app.dispatcher.handle(job, "job-1"),
        lambda: app.dispatcher.schedules().trigger(job),
    ):
        refused(DispatchError, dispatch)
    expect_untouched(app)


@pytest.mark.parametrize(
    "many",
    [
        lambda: Many(chunk="5"),
        lambda: Many(chunk=0),
        lambda: Many(chunk=10_001),
        lambda: Many(on_error="ignore"),
        lambda: Many(progress=5),
        lambda: MemoryApp().dispatcher.dispatch_many(WELCOME, 5),
        lambda: MemoryApp().dispatcher.dispatch_many(WELCOME, [Mail()], how=500),
    ],
)
def test_how_many_jobs_are_dispatched(many: Callable[[], object]) -> None:
    refused(DispatchError, many)


@pytest.mark.parametrize(
    "wrong",
    [5, {}, None, DispatchRequest(Mail(), {"delay": 5})],
    ids=lambda each: type(each).__name__,
)
def test_one_wrong_item_is_reported_and_sinks_no_other(wrong: Any) -> None:
    outcomes = MemoryApp().dispatcher.dispatch_many(WELCOME, [Mail(), wrong, Mail()])

    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, DispatchError)
