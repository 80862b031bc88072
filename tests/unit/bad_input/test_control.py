"""What people ask of jobs is refused with one clear error where it means nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import FailsoftError, JobState
from failsoft.job_engine.errors import ScheduleNotFoundError
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import FAIL, HOLD
from tests.unit.bad_input.refusals import (
    NO_SPANS,
    NO_TEXT,
    NO_WHOLE_NUMBERS,
    OUT_OF_SPAN,
    SECOND,
    refused,
)
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

ACTORS = (*NO_TEXT, "", "a" * 129, "a\0")
REASONS = (*NO_TEXT, "r" * 2001, "r\0", "\ud800")
NAMES = tuple(value for value in (*NO_TEXT, "", "n" * 129, "n\0") if value is not None)

Give = Callable[[JobHandle[Any], MemoryApp, Any], object]


class Other(BaseModel):
    text: str = ""


OF_FAILED: dict[str, tuple[Give, tuple[Any, ...]]] = {
    "retry.payload": (
        lambda handle, _, value: handle.retry(payload=value),
        (5, {"user_id": 7}, Other(), Mail),
    ),
    "retry.from_step": (
        lambda handle, _, value: handle.retry(from_step=value),
        (5, ["a"], "", "nobody recorded it", "s" * 129),
    ),
    "retry.reason": (lambda handle, _, value: handle.retry(reason=value), REASONS),
    "retry.actor": (lambda handle, _, value: handle.retry(actor=value), ACTORS),
    "result.timeout": (lambda handle, _, value: handle.result(value), (*NO_SPANS, -SECOND)),
    "handle.job_id": (
        lambda _, app, value: app.dispatcher.handle(WELCOME, value),
        (*NO_TEXT, "", "a b"),
    ),
    "retry_many.name": (lambda _, app, value: app.dispatcher.retry_many(name=value), NAMES),
    "retry_many.queue": (lambda _, app, value: app.dispatcher.retry_many(queue=value), NAMES),
    "retry_many.since": (
        lambda _, app, value: app.dispatcher.retry_many(since=value),
        tuple(value for value in (*NO_SPANS, *OUT_OF_SPAN) if value is not None),
    ),
    "retry_many.limit": (
        lambda _, app, value: app.dispatcher.retry_many(limit=value),
        (*NO_WHOLE_NUMBERS, 0, -1, 10_001),
    ),
    "retry_many.reason": (
        lambda _, app, value: app.dispatcher.retry_many(reason=value),
        REASONS,
    ),
    "retry_many.actor": (lambda _, app, value: app.dispatcher.retry_many(actor=value), ACTORS),
}
OF_HELD: dict[str, tuple[Give, tuple[Any, ...]]] = {
    "resume.done": (
        lambda handle, _, value: handle.resume(done=value),
        (5, ["pay"], {"nobody began it": 1}, {"pay": float("nan")}, {"pay": {1: 1}}),
    ),
    "resume.reason": (lambda handle, _, value: handle.resume(reason=value), REASONS),
    "resume.actor": (lambda handle, _, value: handle.resume(actor=value), ACTORS),
    "accept.result": (
        lambda handle, _, value: handle.accept(value),
        (float("nan"), {1: 1}, object(), "x" * 262_144),
    ),
    "accept.actor": (lambda handle, _, value: handle.accept(1, actor=value), ACTORS),
    "abandon.reason": (lambda handle, _, value: handle.abandon(reason=value), REASONS),
}
OF_A_HOUSE: dict[str, tuple[Give, tuple[Any, ...]]] = {
    "pause.kind": (
        lambda _, app, value: app.dispatcher.pause(value, "default"),
        ("worker", "", 5, None),
    ),
    "pause.name": (
        lambda _, app, value: app.dispatcher.pause("queue", value),
        (*NAMES, None),
    ),
    "pause.reason": (
        lambda _, app, value: app.dispatcher.pause("queue", "default", reason=value),
        REASONS,
    ),
    "pause.actor": (
        lambda _, app, value: app.dispatcher.pause("queue", "default", actor=value),
        ACTORS,
    ),
    "unpause.kind": (
        lambda _, app, value: app.dispatcher.unpause(value, "default"),
        ("worker", "", 5, None),
    ),
    "unpause.name": (
        lambda _, app, value: app.dispatcher.unpause("queue", value),
        (*NAMES, None),
    ),
    "schedules.get": (lambda _, app, value: app.dispatcher.schedules().get(value), (5, None)),
    "schedules.pause": (
        lambda _, app, value: app.dispatcher.schedules().pause(value),
        (5, None),
    ),
    "schedules.resume": (
        lambda _, app, value: app.dispatcher.schedules().resume(value),
        (5, None),
    ),
    "schedules.trigger": (
        lambda _, app, value: app.dispatcher.schedules().trigger(value),
        (5, None, "welcome", WELCOME),
    ),
}


def ended_by(transition: Any, app: MemoryApp) -> JobHandle[Any]:
    handle = app.dispatch()
    claim = app.work(app.rq)
    assert claim is not None
    app.ledger.conclude(claim, Conclusion(transition, error=ErrorRecord("E", "broken")))
    return handle


def rows(table: dict[str, tuple[Give, tuple[Any, ...]]]) -> Any:
    pairs = [(option, value) for option, (_, values) in table.items() for value in values]
    ids = [f"{n}-{pair[0]}" for n, pair in enumerate(pairs)]
    return pytest.mark.parametrize(("option", "value"), pairs, ids=ids)


@rows(OF_FAILED)
def test_of_a_failed_job(option: str, value: Any) -> None:
    app = MemoryApp()
    handle = ended_by(FAIL, app)

    refused(FailsoftError, lambda: OF_FAILED[option][0](handle, app, value))
    assert app.ledger.counts() == {JobState.FAILED: 1}


@rows(OF_HELD)
def test_of_a_held_job(option: str, value: Any) -> None:
    app = MemoryApp()
    handle = ended_by(HOLD, app)

    refused(FailsoftError, lambda: OF_HELD[option][0](handle, app, value))
    assert handle.status() is JobState.HELD


@rows(OF_A_HOUSE)
def test_of_queues_and_schedules(option: str, value: Any) -> None:
    app = MemoryApp()
    handle = app.dispatch()

    refused(FailsoftError, lambda: OF_A_HOUSE[option][0](handle, app, value))
    assert not app.ledger.pauses()


def test_a_retry_is_of_another_payload_or_from_a_step() -> None:
    app = MemoryApp()
    handle = ended_by(FAIL, app)

    message = refused(FailsoftError, lambda: handle.retry(payload=Mail(), from_step="a"))

    assert "got both" in message


@pytest.mark.parametrize("name", ["nobody", "welcome"])
def test_a_schedule_that_there_is_not(name: str) -> None:
    schedules = MemoryApp().dispatcher.schedules()

    for ask in (schedules.get, schedules.pause, schedules.resume):
        with pytest.raises(ScheduleNotFoundError):
            ask(name)
