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
from tests.unit.job_engine.steps.test_async_jobs import AsyncAttemptRunner
from tests.unit.support.attempts import HOUR, AttemptRunner, Mail


def send(
    runner: AttemptRunner, payload: str = '"yes"', *, key: str | None = None, **given: Any
) -> int:
    topic = event_topic("answer", job_id=None if key else runner.job_id, key=key)
    event_id = given.pop("event_id", secrets.token_hex(8))
    return runner.ledger.send(SentEvent(event_id, topic, "answer", payload, **given))


def is_due(runner: AttemptRunner) -> bool:
    return runner.job_id in [job.id for job in runner.ledger.due(10)]


def waits(**options: Any) -> Callable[[JobContext], Any]:
    return lambda ctx: ctx.wait_for_event("answer", **options)


def test_a_job_waits_and_is_woken() -> None:
    runner = AttemptRunner(waits())
    first, asleep = runner.run(), is_due(runner)

    woken = send(runner)

    assert (first, asleep, woken, is_due(runner)) == (JobState.SCHEDULED, False, 1, True)
    assert runner.run() is JobState.SUCCEEDED
    assert runner.job.result == '"yes"'


def test_an_event_that_was_sent_before_is_found_without_waiting() -> None:
    runner = AttemptRunner(waits())
    send(runner)

    assert runner.run() is JobState.SUCCEEDED


def test_an_event_that_comes_just_before_the_job_is_suspended_is_not_missed() -> None:
    runner = AttemptRunner(waits())
    conclude = runner.ledger.conclude

    def late(claim: Claim, conclusion: Conclusion) -> JobState:
        send(runner)
        return conclude(claim, conclusion)

    runner.ledger.conclude = late  # type: ignore[method-assign]

    assert runner.run() is JobState.SCHEDULED
    assert is_due(runner)


def test_each_wait_takes_the_oldest_event_it_has_not_received() -> None:
    def body(ctx: JobContext) -> list[Any]:
        return [ctx.wait_for_event("answer", step=f"answer {n}") for n in range(2)]

    runner = AttemptRunner(body)
    for number in (1, 2, 3):
        send(runner, str(number))

    runner.run()

    assert runner.job.result == "[1,2]"


def test_an_event_that_is_sent_again_is_kept_once() -> None:
    runner = AttemptRunner(
        lambda ctx: [ctx.wait_for_event("answer", step=f"n{n}") for n in range(2)]
    )
    for _ in range(2):
        send(runner, event_id="the-same")

    assert runner.run() is JobState.SCHEDULED


def test_a_key_reaches_all_who_wait_under_it() -> None:
    runners = [AttemptRunner(waits(key="order-7")) for _ in range(2)]
    for runner in runners:
        send(runner, key="order-7")
        send(runner, key="order-8", payload="0")

    assert [runner.run() for runner in runners] == [JobState.SUCCEEDED] * 2


def test_an_event_is_forgotten_after_its_time() -> None:
    runner = AttemptRunner(waits())
    send(runner)
    runner.clock.advance(KEEP_EVENTS)

    assert runner.run() is JobState.SCHEDULED


@pytest.mark.parametrize("raises", [False, True])
def test_a_wait_that_lasts_too_long_is_over(*, raises: bool) -> None:
    caught: list[Exception] = []

    def body(ctx: JobContext) -> Any:
        try:
            return ctx.wait_for_event("answer", timeout=HOUR, raises=raises)
        except EventTimeoutError as error:
            caught.append(error)
            return "late"

    runner = AttemptRunner(body)
    runner.run()
    runner.clock.advance(HOUR / 2)
    early, due_early = runner.run(), is_due(runner)
    runner.clock.advance(HOUR / 2)

    assert (early, due_early, is_due(runner)) == (JobState.SCHEDULED, False, True)
    assert runner.run() is JobState.SUCCEEDED
    assert runner.job.result == ('"late"' if raises else "null")
    assert len(caught) == raises


def test_what_was_met_stays_met() -> None:
    def body(ctx: JobContext) -> Any:
        answer = ctx.wait_for_event("answer", timeout=HOUR)
        ctx.sleep("nap", HOUR)
        return answer

    runner = AttemptRunner(body)
    send(runner, "1")
    runner.run()
    send(runner, "2")

    runner.run()

    assert runner.job.result == "1"


def test_an_event_has_a_type() -> None:
    runner = AttemptRunner(lambda ctx: str(ctx.wait_for_event("answer", Mail)))
    send(runner, '{"user_id": 9}')

    runner.run()

    assert runner.job.result == '"user_id=9"'


@pytest.mark.parametrize(
    "options", [{"timeout": timedelta(0)}, {"key": ""}, {"key": "x" * 256}], ids=repr
)
def test_a_wait_that_makes_no_sense_holds_the_job(options: dict[str, Any]) -> None:
    with pytest.raises(HoldRequested, match="expected a"):
        waits(**options)(AttemptRunner().context())


def test_an_async_job_waits_too() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: AsyncJobContext) -> Any:
        return await ctx.wait_for_event("answer", int)

    first = runner.go(body)
    send(runner, "5")

    assert (first, runner.go(body)) == (JobState.SCHEDULED, JobState.SUCCEEDED)
    assert runner.job.result == "5"
