"""`async def` jobs run like others, whatever engine and ledger; so does dispatching them."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from failsoft.dispatcher import dispatch_job_async, use_dispatcher
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobFailedError
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.asynchronous import Numbers, Tour, async_slow, async_sum, async_tour
from tests.servers.processes import PATIENCE, wait_until


def test_an_async_job_sleeps_fails_and_resumes(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(async_sum, Numbers(numbers=[1, 2, 3]))

    assert handle.result() == 12
    assert deployment.kinds(handle).count("suspend") == 1
    assert deployment.kinds(handle).count("retry") == 1
    names = [step.name for step in deployment.ledger.steps(handle.id)]
    assert names == ["double 1", "double 2", "double 3", "nap", "add"]


def test_an_async_job_is_interrupted_when_its_time_is_up(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(async_slow, Numbers(numbers=[]))

    failed = deployment.wait_for(handle, JobState.FAILED)

    assert failed.error is not None
    assert failed.error.type.endswith("AttemptTimeoutError")


def test_an_async_job_can_do_what_a_plain_one_can(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    wakes_at = datetime.now(UTC) + timedelta(milliseconds=400)
    tour = Tour(diary=tmp_path / "diary", wakes_at=wakes_at)
    handle = deployment.dispatch(async_tour, tour)
    wait_until(lambda: deployment.kinds(handle).count("suspend") == 2, PATIENCE, "the job waits")
    assert deployment.dispatcher.send_event("async-answer", 7, to=handle) == 1

    assert handle.result() == [7, "found"]

    *_, third, _, _ = deployment.ledger.attempts(handle.id)
    assert third.started_at >= wakes_at
    drawn, lines = read(tour.diary)
    assert len(set(drawn)) == 1
    assert lines == ["batch [0, 1] 1", "batch [2, 3] 1", "batch [2, 3] 2", "sent", "looked"]
    found = handle.progress()
    assert found is not None
    assert (found.done, found.total, found.note) == (100, 100, "word 99")
    assert (handle.job().errors, len(drawn)) == (2, handle.job().claims)


def read(diary: Path) -> tuple[list[str], list[str]]:
    """Return what the attempts drew, and what else they did."""
    lines = diary.read_text().splitlines()
    drawn = [line for line in lines if line.startswith("drawn")]
    return drawn, [line for line in lines if line not in drawn]


def test_a_web_app_dispatches_and_waits_without_blocking(deployment: EngineDeployment) -> None:
    async def view() -> tuple[int, JobState]:
        numbers = Numbers(numbers=[4])
        handle = await dispatch_job_async(async_sum, numbers, engines=[deployment.engine])
        return await handle.result(), await handle.status()

    async def failing() -> None:
        handle = await dispatch_job_async(async_slow, Numbers(numbers=[]))
        await handle.result()

    use_dispatcher(deployment.dispatcher)
    try:
        assert asyncio.run(view()) == (8, JobState.SUCCEEDED)
        with pytest.raises(JobFailedError, match="AttemptTimeoutError"):
            asyncio.run(failing())
    finally:
        use_dispatcher(None)
