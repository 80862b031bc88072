"""The kit runs jobs when a test says so: drains, single attempts, handlers alone, time, events."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from failsoft.api import JobState, OptionInvalidError, UnknownQueueError, dispatch_job
from failsoft.testkit import DrainLimitError, FailsoftTestCase, Testkit
from tests.testkit.jobs import (
    HOUR,
    File,
    Nothing,
    Person,
    alone,
    approve,
    fail,
    fetch,
    import_file,
    nap,
    send_welcome,
    sweep,
    tick,
)


def test_nothing_runs_before_it_is_drained(failsoft: Testkit) -> None:
    handle = dispatch_job(send_welcome, Person())

    failsoft.assert_state(handle, "offered")
    drained = failsoft.drain()

    assert (drained.ran, drained.by_engine, drained.failed) == (1, {"rq": 1}, [])
    assert failsoft.job(send_welcome).result() == "Welcome, ada"


def test_one_attempt_runs_at_a_time(failsoft: Testkit) -> None:
    for _ in range(2):
        dispatch_job(send_welcome, Person())

    first, second, third = failsoft.run_next(), failsoft.run_next(), failsoft.run_next()

    assert first is not None
    assert second is not None
    assert (first.state, second.state, third) == (JobState.SUCCEEDED, JobState.SUCCEEDED, None)


def test_a_queue_is_drained_alone(failsoft: Testkit) -> None:
    other = dispatch_job(send_welcome, Person(), queue="scheduled")
    handle = dispatch_job(send_welcome, Person())

    failsoft.drain("default")

    failsoft.assert_state(handle, JobState.SUCCEEDED)
    failsoft.assert_state(other, JobState.OFFERED)
    failsoft.drain("scheduled")


def test_an_unknown_queue_is_refused(failsoft: Testkit) -> None:
    with pytest.raises(UnknownQueueError):
        failsoft.drain("defualt")


def test_a_drain_goes_on_to_what_is_scheduled_if_asked(failsoft: Testkit) -> None:
    before = failsoft.freeze()
    handle = dispatch_job(nap, Nothing())

    failsoft.drain()
    failsoft.assert_state(handle, "scheduled")
    failsoft.drain(with_scheduled=True)

    assert handle.result() == "beforeafter"
    assert HOUR <= failsoft.freeze() - before < HOUR + timedelta(seconds=1)


def test_a_job_without_an_end_stops_the_drain(failsoft: Testkit) -> None:
    handle = dispatch_job(tick, Nothing())

    with pytest.raises(DrainLimitError, match="still due after 20: tick x20"):
        failsoft.drain(jobs=20)

    failsoft.assert_state(handle, "succeeded")
    for each in failsoft.unfinished():
        failsoft._world.ledger.cancel(each.id, "test")


def test_what_a_job_raises_is_raised_with_its_step(failsoft: Testkit) -> None:
    dispatch_job(fail, Nothing())
    failsoft.drain()  # the first attempt, which is retried

    with pytest.raises(ValueError, match="no paper") as raised:
        failsoft.drain(with_scheduled=True)

    assert "in step 'explode', attempt 2" in raised.value.__notes__[0]


def test_a_failure_is_looked_at_if_asked(failsoft: Testkit) -> None:
    handle = dispatch_job(fail, Nothing())

    drained = failsoft.drain(with_scheduled=True, raise_on_failure=False)

    assert list(drained.failed) == [handle.id]
    failsoft.assert_state(handle, "failed")


def test_inline_jobs_have_run_when_they_are_dispatched(failsoft: Testkit) -> None:
    with failsoft.inline():
        handle = dispatch_job(send_welcome, Person())
        failsoft.assert_state(handle, "succeeded")

    later = dispatch_job(send_welcome, Person())
    failsoft.assert_state(later, "offered")
    failsoft.drain()


@pytest.mark.failsoft(mode="inline")
def test_a_test_is_inline_by_its_marker(failsoft: Testkit) -> None:
    assert dispatch_job(send_welcome, Person()).status() is JobState.SUCCEEDED


def test_a_handler_is_called_alone(failsoft: Testkit, done: list[str]) -> None:
    performed = failsoft.perform(
        import_file, File(), attempt=3, steps={"load-1": "recorded", "load-2": "recorded"}
    )

    assert performed.result == 3
    assert performed.steps == {"load-3": "load-3"}
    assert done == ["load-3"]
    assert failsoft.dispatched() == []


def test_a_handler_alone_sleeps_through_the_time(failsoft: Testkit) -> None:
    assert failsoft.perform(nap, Nothing()).slept == (HOUR,)


def test_a_handler_alone_waits_for_what_does_not_come(failsoft: Testkit) -> None:
    waiting = failsoft.perform(approve, Nothing())
    met = failsoft.perform(approve, Nothing(), events={"approved": "yes"})

    assert (list(waiting.waits), waiting.result) == (["approved"], None)
    assert (list(met.waits), met.result) == ([], "yes")


def test_what_a_handler_alone_raises_is_raised(failsoft: Testkit) -> None:
    with pytest.raises(ValueError, match="no paper"):
        failsoft.perform(fail, Nothing())


def test_schedules_fire_while_time_passes(failsoft: Testkit, done: list[str]) -> None:
    failsoft.register(sweep)

    failsoft.travel(hours=3)
    failsoft.drain()

    assert done.count("sweep") == 3


def test_a_schedule_is_triggered(failsoft: Testkit, done: list[str]) -> None:
    failsoft.trigger(sweep)
    failsoft.drain()

    assert done == ["sweep"]


@pytest.mark.failsoft(start=datetime(2026, 3, 1, tzinfo=UTC))
def test_the_clock_moves_when_the_test_says_so(failsoft: Testkit) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert failsoft.freeze() == failsoft.freeze() == noon - 12 * HOUR
    assert failsoft.travel_to(noon) == noon
    for moment in (noon, datetime(2027, 1, 1)):  # noqa: DTZ001 - what is refused
        with pytest.raises(OptionInvalidError):
            failsoft.travel_to(moment)
    with pytest.raises(OptionInvalidError):
        failsoft.travel(seconds=0)


def test_a_year_passes_at_once(failsoft: Testkit) -> None:
    handle = dispatch_job(send_welcome, Person(), delay=timedelta(days=364))

    failsoft.travel(days=364, minutes=1)
    failsoft.drain()

    failsoft.assert_state(handle, "succeeded")


def test_jobs_with_limits_run_one_after_the_other(failsoft: Testkit) -> None:
    handles = [dispatch_job(alone, Nothing()) for _ in range(3)]

    failsoft.drain(with_scheduled=True)

    assert [handle.status() for handle in handles] == [JobState.SUCCEEDED] * 3


def test_a_coroutine_awaits_its_drain(failsoft: Testkit, done: list[str]) -> None:
    async def test() -> None:
        handle = dispatch_job(fetch, Nothing())
        with pytest.raises(RuntimeError, match="adrain"):
            failsoft.drain()
        await failsoft.adrain()
        failsoft.assert_state(handle, "succeeded")

    asyncio.run(test())
    assert done == ["get"]


def test_an_async_handler_runs_in_the_loop_of_the_test(failsoft: Testkit) -> None:
    from tests.testkit import loops  # noqa: PLC0415 - its job has an object of the loop

    async def test() -> None:
        loops.GATE = asyncio.Event()
        handle = dispatch_job(loops.wait_for_gate, Nothing())
        draining = asyncio.create_task(failsoft.adrain())
        loops.GATE.set()
        await draining
        assert handle.result() == id(asyncio.get_running_loop())

    asyncio.run(test())


def test_an_async_handler_is_drained_without_a_loop(failsoft: Testkit, done: list[str]) -> None:
    dispatch_job(fetch, Nothing())
    failsoft.drain()

    assert done == ["get"]


class TestOfUnittest(FailsoftTestCase):
    def test_it_has_a_kit(self) -> None:
        handle = dispatch_job(send_welcome, Person())
        self.failsoft.drain()
        self.failsoft.assert_state(handle, "succeeded")
