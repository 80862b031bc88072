"""The ticker fires each tick once, whoever looks, whatever version of the code they run."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.house import House
from tests.unit.support import Mail, define
from understudy.dispatcher.maintenance import Maintenance
from understudy.dispatcher.ticker import BATCH, MOST_MISSED, Ticker
from understudy.job_engine import Cron, Every, JobState
from understudy.job_engine.definition import AnyDefinition
from understudy.job_engine.errors import (
    LedgerUnavailableError,
    OptionInvalidError,
    ScheduleNotFoundError,
)
from understudy.job_engine.records import Conclusion, JobRecord
from understudy.job_engine.schedule import Schedule
from understudy.job_engine.scheduling import ORPHANED_AFTER, ScheduleRecord
from understudy.job_engine.states import SUCCEED

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)
HOURLY = Every(HOUR)


def scheduled(schedule: Schedule | None, name: str = "sweep", **options: Any) -> AnyDefinition:
    return define(lambda ctx: None, name=name, schedule=schedule, **options)


class Nodes(House):
    """A house with tickers of any version."""

    def ticker(self, *definitions: AnyDefinition) -> Ticker:
        told = {"clock": self.clock, "listener": self.heard}
        return Ticker(self.ledger, definitions, **told, rng=random.Random(7))

    @property
    def schedule(self) -> ScheduleRecord:
        return self.dispatcher.schedules().get("sweep")

    @property
    def jobs(self) -> list[JobRecord]:
        return sorted(self.ledger.list_jobs(name="sweep", limit=5000), key=lambda job: job.id)

    @property
    def ticks(self) -> list[str]:
        """When the jobs were to run, counted from the start."""
        start = datetime(2026, 1, 1, tzinfo=UTC)
        return [str((job.run_at or start) - start) for job in self.jobs]

    def pass_hours(self, hours: float, tickers: Iterable[Ticker] = ()) -> None:
        """Let hours go by while somebody looks every half minute."""
        for _ in range(int(hours * 120)):
            self.clock.advance(30 * SECOND)
            for each in tickers:
                each.tick()


def test_each_tick_is_fired_once_whoever_looks() -> None:
    nodes = Nodes()
    tickers = [nodes.ticker(scheduled(HOURLY)) for _ in range(3)]

    nodes.pass_hours(3.1, tickers)

    assert nodes.ticks == ["1:00:00", "2:00:00", "3:00:00"]
    assert nodes.heard.kinds.count("schedule.fire") == 3
    assert nodes.jobs[0].idempotency_key == "schedule:sweep:2026-01-01T01:00:00+00:00"
    assert (nodes.schedule.last_at, nodes.schedule.last_job_id) == (
        nodes.jobs[-1].run_at,
        nodes.jobs[-1].id,
    )
    assert nodes.schedule.next_at - nodes.schedule.last_at == HOUR


def test_maintenance_fires_and_offers() -> None:
    nodes = Nodes()
    nodes.workers()
    maintenance = Maintenance(
        nodes.engines, nodes.scheduler, nodes.rescuer, nodes.ticker(scheduled(HOURLY))
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
    nodes = Nodes()
    nodes.clock.advance(datetime.fromisoformat(eve) - nodes.clock.now())

    nodes.pass_hours(40, [nodes.ticker(scheduled(Cron(expression, tz=zone)))])

    assert [f"{job.run_at:%dT%H:%M}" for job in nodes.jobs] == ticks


def test_a_tick_that_is_found_a_little_late_is_no_missed_one() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(Every(SECOND, missed="skip")))
    ticker.tick()
    nodes.clock.advance(3 * SECOND)

    assert ticker.tick() == 3


@pytest.mark.parametrize(
    ("missed", "fired"),
    [("skip", []), ("latest", ["5:00:00"]), ("all", [f"{n}:00:00" for n in range(1, 6)])],
)
def test_missed_ticks_go_by_the_policy(missed: Any, fired: list[str]) -> None:
    nodes = Nodes()
    nodes.ticker(scheduled(Every(HOUR, missed=missed))).tick()
    nodes.clock.advance(5.5 * HOUR)

    # Everybody was away, and comes back at once.
    for _ in range(3):
        nodes.ticker(scheduled(Every(HOUR, missed=missed))).tick()
    nodes.pass_hours(0.6, [nodes.ticker(scheduled(Every(HOUR, missed=missed)))])

    assert nodes.ticks == [*fired, "6:00:00"]
    if missed != "all":
        assert "missed" in (nodes.schedule.skip_reason or "")
        assert nodes.schedule.skipped_at == nodes.clock.now().replace(hour=1, minute=0, second=0)


def test_the_latest_of_missed_ticks_gives_way_to_one_that_is_on_time() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(HOURLY))
    ticker.tick()
    nodes.clock.advance(5 * HOUR)

    ticker.tick()

    assert nodes.ticks == ["5:00:00"]


def test_missed_ticks_are_fired_in_batches_and_not_without_end() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(Every(SECOND, missed="all")))
    ticker.tick()
    nodes.clock.advance(2 * DAY)

    assert ticker.tick() == BATCH
    while ticker.tick() == BATCH:
        pass

    fired = nodes.ticks
    assert len(fired) == MOST_MISSED + 61
    assert fired[-1] == "2 days, 0:00:00"
    assert "missed" in (nodes.schedule.skip_reason or "")


def test_a_tick_is_left_out_while_the_job_before_runs() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(Every(HOUR, overlap="skip")))
    nodes.pass_hours(2.1, [ticker])

    assert nodes.ticks == ["1:00:00"]
    assert nodes.schedule.skipped_at == nodes.clock.now().replace(hour=2, minute=0)
    assert nodes.schedule.skip_reason == "the job of the tick before has not ended"
    assert "schedule.skip" in nodes.heard.kinds

    nodes.ledger.cancel(nodes.jobs[0].id, "a person")
    nodes.pass_hours(1, [ticker])

    assert len(nodes.jobs) == 2


def test_overlapping_jobs_are_allowed_by_default() -> None:
    nodes = Nodes()
    nodes.pass_hours(2.1, [nodes.ticker(scheduled(HOURLY))])

    assert nodes.ticks == ["1:00:00", "2:00:00"]


def test_a_new_spec_takes_over_and_the_old_version_beside_it_fires_no_more() -> None:
    nodes = Nodes()
    old, new = nodes.ticker(scheduled(HOURLY)), nodes.ticker(scheduled(Every(2 * HOUR)))
    old.tick()

    # A rolling deploy: both live, and restart, for hours.
    nodes.pass_hours(0.5, [old])
    nodes.pass_hours(0.5, [new, old])
    for _ in range(4):
        nodes.pass_hours(0.5, [nodes.ticker(scheduled(HOURLY)), old, new])

    assert nodes.ticks == ["2:00:00"]
    assert nodes.heard.kinds.count("schedule.declare") == 2


def test_a_rollback_takes_over_when_nobody_declares_the_newer_spec() -> None:
    nodes = Nodes()
    old, new = scheduled(HOURLY), scheduled(Every(2 * HOUR))
    nodes.ticker(old).tick()
    nodes.ticker(new).tick()
    back = nodes.ticker(old)

    back.tick()
    assert '"every": 7200' in nodes.schedule.spec

    nodes.pass_hours(1.1, [back])
    assert '"every": 3600' in nodes.schedule.spec
    assert nodes.ticks == ["1:00:00"]


def test_another_payload_leaves_the_ticks_as_they_are() -> None:
    nodes = Nodes()
    nodes.ticker(scheduled(HOURLY)).tick()
    nodes.clock.advance(HOUR + SECOND)

    nodes.ticker(scheduled(Every(HOUR, payload=Mail(user_id=9)))).tick()

    assert [(job.payload, job.run_at) for job in nodes.jobs] == [
        ('{"user_id":9}', nodes.clock.now() - SECOND)
    ]


def test_another_timing_counts_from_its_declaration() -> None:
    nodes = Nodes()
    nodes.ticker(scheduled(HOURLY)).tick()
    nodes.clock.advance(HOUR + SECOND)

    nodes.ticker(scheduled(Every(3 * HOUR))).tick()

    assert not nodes.jobs
    assert nodes.schedule.next_at == nodes.clock.now() - SECOND + 2 * HOUR


def test_a_schedule_whose_definition_is_gone_is_an_orphan_and_stands_still() -> None:
    nodes = Nodes()
    nodes.ticker(scheduled(HOURLY)).tick()
    other = nodes.ticker(scheduled(HOURLY, name="other"), scheduled(None))

    nodes.pass_hours(2.1, [other])

    assert not nodes.jobs
    assert nodes.schedule.is_orphaned
    assert not nodes.dispatcher.schedules().get("other").is_orphaned


def test_nobody_is_an_orphan_while_a_process_declares_it() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(HOURLY))

    nodes.pass_hours(0.5, [ticker])

    assert nodes.schedule.read_at - nodes.schedule.declared_at < ORPHANED_AFTER / 2


def test_a_node_that_slept_cannot_fire_an_old_tick() -> None:
    """An old leader that wakes (features 8.5): everything it knew has passed."""
    nodes = Nodes()
    asleep, awake = nodes.ticker(scheduled(HOURLY)), nodes.ticker(scheduled(HOURLY))
    asleep.tick()
    nodes.pass_hours(3.1, [awake])

    asleep.tick()

    assert len(nodes.jobs) == 3


def test_paused_it_stands_still_and_resumed_it_goes_on_with_the_next_tick() -> None:
    nodes = Nodes()
    steer, ticker = nodes.dispatcher.schedules(), nodes.ticker(scheduled(HOURLY))
    ticker.tick()

    assert steer.pause("sweep").paused
    nodes.pass_hours(3.5, [ticker])
    assert not nodes.jobs

    assert not steer.resume("sweep").paused
    nodes.pass_hours(1, [ticker])
    assert nodes.ticks == ["4:00:00"]


def test_a_trigger_is_no_tick() -> None:
    nodes = Nodes()
    definition = scheduled(Every(HOUR, payload=Mail(user_id=9)))
    nodes.ticker(definition).tick()
    before = nodes.schedule

    handle = nodes.dispatcher.schedules().trigger(definition)

    assert handle.job().payload == '{"user_id":9}'
    assert nodes.schedule == before


def test_only_what_is_there_can_be_steered() -> None:
    steer = Nodes().dispatcher.schedules()

    for deed in (steer.pause, steer.resume, steer.get):
        with pytest.raises(ScheduleNotFoundError, match="'sweep'"):
            deed("sweep")
    with pytest.raises(OptionInvalidError, match="with a schedule"):
        steer.trigger(scheduled(None))


def test_jitter_delays_the_job_and_not_the_tick() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(Every(HOUR, jitter=timedelta(minutes=10))))

    nodes.pass_hours(1.1, [ticker])

    (job,) = nodes.jobs
    assert job.idempotency_key == "schedule:sweep:2026-01-01T01:00:00+00:00"
    assert timedelta(0) < (job.run_at or job.created_at) - nodes.schedule.last_at < HOUR / 6  # type: ignore[operator]


def test_a_payload_that_cannot_be_made_stops_no_other_schedule() -> None:
    class Moody(Mail):
        def model_post_init(self, context: object, /) -> None:
            if moody:
                raise RuntimeError("not today")

    moody: list[bool] = []
    nodes = Nodes()
    bad = define(lambda ctx: None, name="bad")
    bad = type(bad)("bad", Moody, type(None), bad.queue, schedule=HOURLY)
    ticker = nodes.ticker(bad, scheduled(HOURLY))
    ticker.tick()
    moody.append(True)

    nodes.pass_hours(1.1, [ticker])

    assert nodes.ticks == ["1:00:00"]
    assert "schedule.error" in nodes.heard.kinds


def test_without_schedules_the_ledger_is_left_alone() -> None:
    nodes = Nodes()
    nodes.ledger.down()

    assert nodes.ticker(scheduled(None)).tick() == 0
    with pytest.raises(LedgerUnavailableError):
        nodes.ticker(scheduled(HOURLY)).tick()


def test_a_tick_is_fired_though_the_reply_was_lost() -> None:
    nodes = Nodes()
    ticker = nodes.ticker(scheduled(HOURLY))
    ticker.tick()
    nodes.clock.advance(HOUR)
    nodes.ledger.lose_replies(2)

    for _ in range(2):
        with pytest.raises(LedgerUnavailableError):
            ticker.tick()
    ticker.tick()

    assert nodes.ticks == ["1:00:00"]


def test_the_job_of_a_tick_runs_like_any_other() -> None:
    nodes = Nodes()
    nodes.workers()
    ticker = nodes.ticker(scheduled(Every(HOUR, overlap="skip")))
    nodes.pass_hours(1.1, [ticker])
    nodes.workers()
    nodes.scheduler.tick()
    claim = nodes.claim(nodes.jobs[0])
    assert claim is not None

    nodes.ledger.conclude(claim, Conclusion(SUCCEED, result="null"))
    nodes.pass_hours(1, [ticker])

    assert [job.state for job in nodes.jobs] == [JobState.SUCCEEDED, JobState.SCHEDULED]
