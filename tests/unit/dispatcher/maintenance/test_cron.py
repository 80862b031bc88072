"""The cron scheduler fires each tick once; the policy decides about missed ones."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from failsoft.dispatcher.maintenance.cron import BATCH, MOST_MISSED
from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.job_engine import Cron, Every, JobState
from failsoft.job_engine.errors import (
    LedgerUnavailableError,
)
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import SUCCEED
from tests.unit.support.attempts import Mail, define
from tests.unit.support.cron_app import DAY, HOUR, HOURLY, SECOND, CronApp, scheduled


def test_each_tick_is_fired_once_by_any_number_of_schedulers() -> None:
    nodes = CronApp()
    crons = [nodes.cron(scheduled(HOURLY)) for _ in range(3)]

    nodes.pass_hours(3.1, crons)

    assert nodes.ticks == ["1:00:00", "2:00:00", "3:00:00"]
    assert nodes.events.kinds.count("schedule.fire") == 3
    assert nodes.jobs[0].idempotency_key == "schedule:sweep:2026-01-01T01:00:00+00:00"
    assert (nodes.schedule.last_at, nodes.schedule.last_job_id) == (
        nodes.jobs[-1].run_at,
        nodes.jobs[-1].id,
    )
    assert nodes.schedule.next_at - nodes.schedule.last_at == HOUR


def test_maintenance_fires_and_offers() -> None:
    nodes = CronApp()
    nodes.workers()
    maintenance = Maintenance(
        nodes.engines, nodes.stager, nodes.rescuer, nodes.cron(scheduled(HOURLY))
    )
    maintenance.tick()
    nodes.clock.advance(HOUR)
    nodes.workers()

    maintenance.tick()

    assert [job.state for job in nodes.jobs] == [JobState.OFFERED]


@pytest.mark.parametrize(
    ("expression", "zone", "eve", "ticks"),
    [
        ("30 2 * * *", "Europe/Madrid", "2026-03-28T12:00+00:00", ["29T01:00", "30T00:30"]),
        ("30 2 * * *", "Europe/Madrid", "2026-10-24T12:00+00:00", ["25T00:30", "26T01:30"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T20:00+00:00", ["08T07:00", "09T06:30"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T20:00+00:00", ["01T05:30", "02T06:30"]),
    ],
)
def test_two_days_around_a_change_of_clocks_have_two_ticks(
    expression: str, zone: str, eve: str, ticks: list[str]
) -> None:
    nodes = CronApp()
    nodes.clock.advance(datetime.fromisoformat(eve) - nodes.clock.now())

    nodes.pass_hours(40, [nodes.cron(scheduled(Cron(expression, tz=zone)))])

    assert [f"{job.run_at:%dT%H:%M}" for job in nodes.jobs] == ticks


def test_a_tick_that_is_found_a_little_late_is_no_missed_one() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(Every(SECOND, missed="skip")))
    cron.tick()
    nodes.clock.advance(3 * SECOND)

    assert cron.tick() == 3


@pytest.mark.parametrize(
    ("missed", "fired"),
    [("skip", []), ("latest", ["5:00:00"]), ("all", [f"{n}:00:00" for n in range(1, 6)])],
)
def test_missed_ticks_go_by_the_policy(missed: Any, fired: list[str]) -> None:
    nodes = CronApp()
    nodes.cron(scheduled(Every(HOUR, missed=missed))).tick()
    nodes.clock.advance(5.5 * HOUR)

    # Everybody was away, and comes back at once.
    for _ in range(3):
        nodes.cron(scheduled(Every(HOUR, missed=missed))).tick()
    nodes.pass_hours(0.6, [nodes.cron(scheduled(Every(HOUR, missed=missed)))])

    assert nodes.ticks == [*fired, "6:00:00"]
    if missed != "all":
        assert "missed" in (nodes.schedule.skip_reason or "")
        assert nodes.schedule.skipped_at == nodes.clock.now().replace(hour=1, minute=0, second=0)


def test_the_latest_of_missed_ticks_gives_way_to_one_that_is_on_time() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(HOURLY))
    cron.tick()
    nodes.clock.advance(5 * HOUR)

    cron.tick()

    assert nodes.ticks == ["5:00:00"]


@pytest.mark.parametrize("missed", ["skip", "latest"])
def test_after_a_time_without_workers_one_of_many_short_ticks_is_fired(missed: Any) -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(Every(10 * SECOND, missed=missed)))
    cron.tick()
    nodes.clock.advance(150 * SECOND)

    assert cron.tick() == 1
    assert nodes.ticks == ["0:02:30"]
    nodes.clock.advance(30 * SECOND)
    assert cron.tick() == 3


def test_missed_ticks_are_fired_in_batches_and_not_without_end() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(Every(SECOND, missed="all")))
    cron.tick()
    nodes.clock.advance(2 * DAY)

    assert cron.tick() == BATCH
    while cron.tick() == BATCH:
        pass

    fired = nodes.ticks
    assert len(fired) == MOST_MISSED + 61
    assert fired[-1] == "2 days, 0:00:00"
    assert "missed" in (nodes.schedule.skip_reason or "")


def test_a_tick_is_left_out_while_the_job_before_runs() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(Every(HOUR, overlap="skip")))
    nodes.pass_hours(2.1, [cron])

    assert nodes.ticks == ["1:00:00"]
    assert nodes.schedule.skipped_at == nodes.clock.now().replace(hour=2, minute=0)
    assert nodes.schedule.skip_reason == "the job of the tick before has not ended"
    assert "schedule.skip" in nodes.events.kinds

    nodes.ledger.cancel(nodes.jobs[0].id, "a person")
    nodes.pass_hours(1, [cron])

    assert len(nodes.jobs) == 2


def test_overlapping_jobs_are_allowed_by_default() -> None:
    nodes = CronApp()
    nodes.pass_hours(2.1, [nodes.cron(scheduled(HOURLY))])

    assert nodes.ticks == ["1:00:00", "2:00:00"]


def test_jitter_delays_the_job_and_not_the_tick() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(Every(HOUR, jitter=timedelta(minutes=10))))

    nodes.pass_hours(1.1, [cron])

    (job,) = nodes.jobs
    assert job.idempotency_key == "schedule:sweep:2026-01-01T01:00:00+00:00"
    assert timedelta(0) < (job.run_at or job.created_at) - nodes.schedule.last_at < HOUR / 6  # type: ignore[operator]


def test_a_payload_that_cannot_be_made_stops_no_other_schedule() -> None:
    class Moody(Mail):
        def model_post_init(self, context: object, /) -> None:
            if moody:
                raise RuntimeError("not today")

    moody: list[bool] = []
    nodes = CronApp()
    bad = define(lambda ctx: None, name="bad")
    bad = type(bad)("bad", Moody, type(None), bad.queue, schedule=HOURLY)
    cron = nodes.cron(bad, scheduled(HOURLY))
    cron.tick()
    moody.append(True)

    nodes.pass_hours(1.1, [cron])

    assert nodes.ticks == ["1:00:00"]
    assert "schedule.error" in nodes.events.kinds


def test_without_schedules_the_ledger_is_left_alone() -> None:
    nodes = CronApp()
    nodes.ledger.down()

    assert nodes.cron(scheduled(None)).tick() == 0
    with pytest.raises(LedgerUnavailableError):
        nodes.cron(scheduled(HOURLY)).tick()


def test_a_tick_is_fired_though_the_reply_was_lost() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(HOURLY))
    cron.tick()
    nodes.clock.advance(HOUR)
    nodes.ledger.lose_replies(2)

    for _ in range(2):
        with pytest.raises(LedgerUnavailableError):
            cron.tick()
    cron.tick()

    assert nodes.ticks == ["1:00:00"]


def test_the_job_of_a_tick_runs_like_any_other() -> None:
    nodes = CronApp()
    nodes.workers()
    cron = nodes.cron(scheduled(Every(HOUR, overlap="skip")))
    nodes.pass_hours(1.1, [cron])
    nodes.workers()
    nodes.stager.tick()
    claim = nodes.claim(nodes.jobs[0])
    assert claim is not None

    nodes.ledger.conclude(claim, Conclusion(SUCCEED, result="null"))
    nodes.pass_hours(1, [cron])

    assert [job.state for job in nodes.jobs] == [JobState.SUCCEEDED, JobState.SCHEDULED]
