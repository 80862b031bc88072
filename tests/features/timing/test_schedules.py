"""Workers that race fire each tick of a schedule once, and nothing of one that is paused."""

from datetime import timedelta

from failsoft.dispatcher import Schedules
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import ScheduleNotFoundError
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.schedules import ScheduleRecord
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.timing.schedules import HOURLY, NIGHTLY, SECONDLY
from tests.servers.processes import PATIENCE, wait_until

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: In which every worker has looked for what is due.
A_FEW_LOOKS = timedelta(milliseconds=900)


def declared(steer: Schedules, name: str) -> ScheduleRecord:
    """Wait until a worker has declared a schedule."""

    def found() -> ScheduleRecord | None:
        try:
            return steer.get(name)
        except ScheduleNotFoundError:
            return None

    record = wait_until(found, PATIENCE, f"schedule {name}")
    assert record is not None
    return record


def jobs_of(deployment: EngineDeployment, name: str, state: JobState) -> list[JobRecord]:
    return list(deployment.ledger.list_jobs(name=name, states=[state]))


def test_each_tick_is_fired_once_by_workers_that_race(deployment: EngineDeployment) -> None:
    job = HOURLY[deployment.engine]
    steer = deployment.dispatcher.schedules()
    seen = declared(steer, job.name)

    # As if all workers had been away for three hours.
    assert deployment.ledger.resume_schedule(seen, seen.read_at - 3 * HOUR)
    # Where the hour has just turned, the last of the three ticks was fired in its time.
    wait_until(
        lambda: len(jobs_of(deployment, job.name, JobState.SUCCEEDED)) >= 3,
        PATIENCE,
        "three reports",
    )

    after, jobs = steer.get(job), deployment.ledger.list_jobs(name=job.name)
    keys = [each.idempotency_key for each in jobs]
    assert len(keys) == len(set(keys)) >= 3, keys
    assert {each.result for each in jobs} == {f'"report on {deployment.engine}"'}
    assert {each.engine for each in jobs} == {deployment.engine}
    assert after.last_at is not None
    assert after.last_job_id in {each.id for each in jobs}
    assert after.last_at <= after.read_at < after.next_at == after.last_at + HOUR


def test_a_schedule_is_paused_triggered_and_resumed(deployment: EngineDeployment) -> None:
    job = NIGHTLY[deployment.engine]
    steer = deployment.dispatcher.schedules()
    seen = declared(steer, job.name)

    assert steer.pause(job).paused
    handle = steer.trigger(job)
    assert deployment.wait_for(handle).engine == deployment.engine
    assert handle.result() == "report on nothing"
    paused = steer.get(job)
    resumed = steer.resume(job)

    assert (paused.last_at, paused.next_at) == (seen.last_at, seen.next_at)
    assert not resumed.paused
    assert timedelta(0) < resumed.next_at - resumed.read_at <= DAY + HOUR


def test_a_cron_tick_is_fired_at_its_time(deployment: EngineDeployment) -> None:
    job = NIGHTLY[deployment.engine]
    assert job.schedule is not None
    steer = deployment.dispatcher.schedules()
    seen = declared(steer, job.name)
    (night,) = job.schedule.ticks(seen.read_at - 2 * DAY, seen.read_at, 1)

    # As if all workers had been away since before last night.
    assert deployment.ledger.resume_schedule(seen, night)

    def fired() -> ScheduleRecord | None:
        found = steer.get(job)
        # Where its time came during this test, it was fired once already.
        return found if found.last_at == night and found.next_at > night else None

    after = wait_until(fired, PATIENCE, "last night's tick")
    assert after is not None
    assert after.last_job_id is not None
    handle = deployment.dispatcher.handle(job, after.last_job_id)
    assert handle.result() == "report on nothing"
    assert handle.job().engine == deployment.engine
    assert handle.job().idempotency_key == f"schedule:{job.name}:{night.isoformat()}"
    assert after.next_at == job.schedule.after(night)


def test_a_paused_schedule_does_not_tick_before_it_is_resumed(deployment: EngineDeployment) -> None:
    job = SECONDLY[deployment.engine]
    steer = deployment.dispatcher.schedules()
    try:
        steer.resume(job)
        ticked(deployment, steer.get(job))
        paused = steer.pause(job)
        wait_until(lambda: overdue(steer.get(job)), PATIENCE, "a tick that nobody fires")
        assert steer.get(job).last_at == paused.last_at

        resumed = steer.resume(job)

        again = ticked(deployment, resumed)
        assert again.last_at is not None
        # What passed during the pause is not made up for.
        assert again.last_at >= resumed.next_at > paused.next_at
    finally:
        steer.pause(job)


def ticked(deployment: EngineDeployment, seen: ScheduleRecord) -> ScheduleRecord:
    """Wait for a tick that has not been seen yet, and for its job."""
    steer = deployment.dispatcher.schedules()
    wait_until(lambda: steer.get(seen.name).last_at != seen.last_at, PATIENCE, "a tick")
    found = steer.get(seen.name)
    assert found.last_job_id is not None
    deployment.wait_for(
        deployment.dispatcher.handle(SECONDLY[deployment.engine], found.last_job_id)
    )
    return found


def overdue(seen: ScheduleRecord) -> bool:
    return seen.read_at > seen.next_at + A_FEW_LOOKS
