"""`async def` jobs run like others, whatever engine and ledger; so does dispatching them."""

import asyncio

import pytest

from tests.features.house import House
from tests.features.jobs.asynchronous import Numbers, async_slow, async_sum
from understudy.dispatcher import dispatch_job_async, use_dispatcher
from understudy.job_engine import JobState
from understudy.job_engine.errors import JobFailedError


def test_an_async_job_sleeps_fails_and_resumes(house: House) -> None:
    handle = house.dispatch(async_sum, Numbers(numbers=[1, 2, 3]))

    assert handle.result() == 12
    assert house.kinds(handle).count("suspend") == 1
    assert house.kinds(handle).count("retry") == 1
    names = [step.name for step in house.ledger.steps(handle.id)]
    assert names == ["double 1", "double 2", "double 3", "nap", "add"]


def test_an_async_job_is_interrupted_when_its_time_is_up(house: House) -> None:
    handle = house.dispatch(async_slow, Numbers(numbers=[]))

    failed = house.wait_for(handle, JobState.FAILED)

    assert failed.error is not None
    assert failed.error.type.endswith("AttemptTimeoutError")


def test_a_web_app_dispatches_and_waits_without_blocking(house: House) -> None:
    async def view() -> tuple[int, JobState]:
        numbers = Numbers(numbers=[4])
        handle = await dispatch_job_async(async_sum, numbers, engines=[house.engine])
        return await handle.result(), await handle.status()

    async def failing() -> None:
        handle = await dispatch_job_async(async_slow, Numbers(numbers=[]))
        await handle.result()

    use_dispatcher(house.dispatcher)
    try:
        assert asyncio.run(view()) == (8, JobState.SUCCEEDED)
        with pytest.raises(JobFailedError, match="AttemptTimeoutError"):
            asyncio.run(failing())
    finally:
        use_dispatcher(None)
