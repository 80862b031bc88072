"""Steps that wait for an event or for another job, and hold no worker."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import AsyncJobContext, JobContext, JobState
from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.errors import (
    EventTimeoutError,
)
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.job_engine.records.waits import KEEP_EVENTS, SentEvent, event_topic
from tests.unit.job_engine.steps.test_async_jobs import AsyncStage
from tests.unit.support.attempts import HOUR, Mail, Stage


def send(stage: Stage, payload: str = '"yes"', *, key: str | None = None, **given: Any) -> int:
    topic = event_topic("answer", job_id=None if key else stage.job_id, key=key)
    event_id = given.pop("event_id", secrets.token_hex(8))
    return stage.ledger.send(SentEvent(event_id, topic, "answer", payload, **given))


def is_due(stage: Stage) -> bool:
    return stage.job_id in [job.id for job in stage.ledger.due(10)]


def waits(**options: Any) -> Callable[[JobContext], Any]:
    return lambda ctx: ctx.wait_for_event("answer", **options)


def test_a_job_waits_and_is_woken() -> None:
    stage = Stage(waits())
    first, asleep = stage.run(), is_due(stage)

    woken = send(stage)

    assert (first, asleep, woken, is_due(stage)) == (JobState.SCHEDULED, False, 1, True)
    assert stage.run() is JobState.SUCCEEDED
    assert stage.job.result == '"yes"'


def test_an_event_that_was_sent_before_is_found_without_waiting() -> None:
    stage = Stage(waits())
    send(stage)

    assert stage.run() is JobState.SUCCEEDED


def test_an_event_that_comes_just_before_the_job_is_suspended_is_not_missed() -> None:
    stage = Stage(waits())
    conclude = stage.ledger.conclude

    def late(claim: Claim, conclusion: Conclusion) -> JobState:
        send(stage)
        return conclude(claim, conclusion)

    stage.ledger.conclude = late  # type: ignore[method-assign]

    assert stage.run() is JobState.SCHEDULED
    assert is_due(stage)


def test_each_wait_takes_the_oldest_event_it_has_not_received() -> None:
    def body(ctx: JobContext) -> list[Any]:
        return [ctx.wait_for_event("answer", step=f"answer {n}") for n in range(2)]

    stage = Stage(body)
    for number in (1, 2, 3):
        send(stage, str(number))

    stage.run()

    assert stage.job.result == "[1,2]"


def test_an_event_that_is_sent_again_is_kept_once() -> None:
    stage = Stage(lambda ctx: [ctx.wait_for_event("answer", step=f"n{n}") for n in range(2)])
    for _ in range(2):
        send(stage, event_id="the-same")

    assert stage.run() is JobState.SCHEDULED


def test_a_key_reaches_all_who_wait_under_it() -> None:
    stages = [Stage(waits(key="order-7")) for _ in range(2)]
    for stage in stages:
        send(stage, key="order-7")
        send(stage, key="order-8", payload="0")

    assert [stage.run() for stage in stages] == [JobState.SUCCEEDED] * 2


def test_an_event_is_forgotten_after_its_time() -> None:
    stage = Stage(waits())
    send(stage)
    stage.clock.advance(KEEP_EVENTS)

    assert stage.run() is JobState.SCHEDULED


@pytest.mark.parametrize("raises", [False, True])
def test_a_wait_that_lasts_too_long_is_over(*, raises: bool) -> None:
    caught: list[Exception] = []

    def body(ctx: JobContext) -> Any:
        try:
            return ctx.wait_for_event("answer", timeout=HOUR, raises=raises)
        except EventTimeoutError as error:
            caught.append(error)
            return "late"

    stage = Stage(body)
    stage.run()
    stage.clock.advance(HOUR / 2)
    early, due_early = stage.run(), is_due(stage)
    stage.clock.advance(HOUR / 2)

    assert (early, due_early, is_due(stage)) == (JobState.SCHEDULED, False, True)
    assert stage.run() is JobState.SUCCEEDED
    assert stage.job.result == ('"late"' if raises else "null")
    assert len(caught) == raises


def test_what_was_met_stays_met() -> None:
    def body(ctx: JobContext) -> Any:
        answer = ctx.wait_for_event("answer", timeout=HOUR)
        ctx.sleep("nap", HOUR)
        return answer

    stage = Stage(body)
    send(stage, "1")
    stage.run()
    send(stage, "2")

    stage.run()

    assert stage.job.result == "1"


def test_an_event_has_a_type() -> None:
    stage = Stage(lambda ctx: str(ctx.wait_for_event("answer", Mail)))
    send(stage, '{"user_id": 9}')

    stage.run()

    assert stage.job.result == '"user_id=9"'


@pytest.mark.parametrize(
    "options", [{"timeout": timedelta(0)}, {"key": ""}, {"key": "x" * 256}], ids=repr
)
def test_a_wait_that_makes_no_sense_holds_the_job(options: dict[str, Any]) -> None:
    with pytest.raises(HoldRequested, match="expected a"):
        waits(**options)(Stage().context())


def test_an_async_job_waits_too() -> None:
    stage = AsyncStage()

    async def body(ctx: AsyncJobContext) -> Any:
        return await ctx.wait_for_event("answer", int)

    first = stage.go(body)
    send(stage, "5")

    assert (first, stage.go(body)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert stage.job.result == "5"
