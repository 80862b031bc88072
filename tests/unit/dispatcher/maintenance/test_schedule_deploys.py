"""Schedules across deploys, rollbacks and pauses: whose spec counts, and what becomes of it."""

import pytest

from failsoft.job_engine import Every
from failsoft.job_engine.errors import (
    OptionInvalidError,
    ScheduleNotFoundError,
)
from failsoft.job_engine.records.schedules import ORPHANED_AFTER
from tests.unit.support.attempts import Mail
from tests.unit.support.cron_app import HOUR, HOURLY, SECOND, CronApp, scheduled


def test_a_new_spec_takes_over_and_the_old_version_beside_it_fires_no_more() -> None:
    nodes = CronApp()
    old, new = nodes.cron(scheduled(HOURLY)), nodes.cron(scheduled(Every(2 * HOUR)))
    old.tick()

    # A rolling deploy: both live, and restart, for hours.
    nodes.pass_hours(0.5, [old])
    nodes.pass_hours(0.5, [new, old])
    for _ in range(4):
        nodes.pass_hours(0.5, [nodes.cron(scheduled(HOURLY)), old, new])

    assert nodes.ticks == ["2:00:00"]
    assert nodes.events.kinds.count("schedule.declare") == 2


def test_a_rollback_takes_over_when_no_process_declares_the_newer_spec() -> None:
    nodes = CronApp()
    old, new = scheduled(HOURLY), scheduled(Every(2 * HOUR))
    nodes.cron(old).tick()
    nodes.cron(new).tick()
    back = nodes.cron(old)

    back.tick()
    assert '"every": 7200' in nodes.schedule.spec

    nodes.pass_hours(1.1, [back])
    assert '"every": 3600' in nodes.schedule.spec
    assert nodes.ticks == ["1:00:00"]


def test_another_payload_leaves_the_ticks_as_they_are() -> None:
    nodes = CronApp()
    nodes.cron(scheduled(HOURLY)).tick()
    nodes.clock.advance(HOUR + SECOND)

    nodes.cron(scheduled(Every(HOUR, payload=Mail(user_id=9)))).tick()

    assert [(job.payload, job.run_at) for job in nodes.jobs] == [
        ('{"user_id":9}', nodes.clock.now() - SECOND)
    ]


def test_another_timing_counts_from_its_declaration() -> None:
    nodes = CronApp()
    nodes.cron(scheduled(HOURLY)).tick()
    nodes.clock.advance(HOUR + SECOND)

    nodes.cron(scheduled(Every(3 * HOUR))).tick()

    assert not nodes.jobs
    assert nodes.schedule.next_at == nodes.clock.now() - SECOND + 2 * HOUR


def test_a_schedule_whose_definition_is_gone_is_an_orphan_and_stands_still() -> None:
    nodes = CronApp()
    nodes.cron(scheduled(HOURLY)).tick()
    other = nodes.cron(scheduled(HOURLY, name="other"), scheduled(None))

    nodes.pass_hours(2.1, [other])

    assert not nodes.jobs
    assert nodes.schedule.is_orphaned
    assert not nodes.dispatcher.schedules().get("other").is_orphaned


def test_a_spec_is_no_orphan_while_a_process_declares_it() -> None:
    nodes = CronApp()
    cron = nodes.cron(scheduled(HOURLY))

    nodes.pass_hours(0.5, [cron])

    assert nodes.schedule.read_at - nodes.schedule.declared_at < ORPHANED_AFTER / 2


def test_a_node_that_slept_cannot_fire_an_old_tick() -> None:
    """An old leader that wakes: everything it knew has passed."""
    nodes = CronApp()
    asleep, awake = nodes.cron(scheduled(HOURLY)), nodes.cron(scheduled(HOURLY))
    asleep.tick()
    nodes.pass_hours(3.1, [awake])

    asleep.tick()

    assert len(nodes.jobs) == 3


def test_paused_it_stands_still_and_resumed_it_goes_on_with_the_next_tick() -> None:
    nodes = CronApp()
    steer, cron = nodes.dispatcher.schedules(), nodes.cron(scheduled(HOURLY))
    cron.tick()

    assert steer.pause("sweep").paused
    nodes.pass_hours(3.5, [cron])
    assert not nodes.jobs

    assert not steer.resume("sweep").paused
    nodes.pass_hours(1, [cron])
    assert nodes.ticks == ["4:00:00"]


def test_a_trigger_is_no_tick() -> None:
    nodes = CronApp()
    definition = scheduled(Every(HOUR, payload=Mail(user_id=9)))
    nodes.cron(definition).tick()
    before = nodes.schedule

    handle = nodes.dispatcher.schedules().trigger(definition)

    assert handle.job().payload == '{"user_id":9}'
    assert nodes.schedule == before


def test_only_what_is_there_can_be_steered() -> None:
    steer = CronApp().dispatcher.schedules()

    for deed in (steer.pause, steer.resume, steer.get):
        with pytest.raises(ScheduleNotFoundError, match="'sweep'"):
            deed("sweep")
    with pytest.raises(OptionInvalidError, match="with a schedule"):
        steer.trigger(scheduled(None))
