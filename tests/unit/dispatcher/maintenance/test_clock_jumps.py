"""F46: the ledger's clock jumps ahead and back, and nothing waits longer for it."""

from datetime import datetime, timedelta

import pytest

from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.dispatcher.maintenance.late_offers import LONGEST_PATIENCE
from failsoft.dispatcher.maintenance.rescuer import LEASES_STILL
from failsoft.dispatcher.offering.heartbeats import TTLS_STILL
from failsoft.job_engine import Every, JobState
from failsoft.job_engine.policies.schedule import Missed
from failsoft.job_engine.ports.clock import GRACE, ClockWatch
from failsoft.testing import FrozenClock, MemoryLedger
from tests.unit.support.attempts import Mail
from tests.unit.support.cron_app import scheduled
from tests.unit.support.memory_app import EventList, MemoryApp

pytestmark = pytest.mark.fault("F46")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=60)


class LedgerTime:
    """The ledger's clock: it goes as the steady one does, and may be set."""

    def __init__(self, clock: FrozenClock) -> None:
        self.ahead = timedelta(0)
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() + self.ahead

    def steady(self) -> float:
        return self._clock.steady()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


class Jumping:
    """An app whose ledger's clock a test sets, and crons that begin when the test says."""

    def __init__(self) -> None:
        self.times: list[LedgerTime] = []
        self.app = MemoryApp(ledger_time=self._time)
        self.events = EventList()

    @property
    def ledger(self) -> MemoryLedger:
        return self.app.ledger

    def set(self, ahead: timedelta) -> None:
        for each in self.times:
            each.ahead = ahead

    def cron(self, missed: Missed = "latest") -> CronScheduler:
        every = scheduled(Every(SECOND, missed=missed))
        return CronScheduler(self.ledger, [every], clock=self.app.clock, listener=self.events)

    def seconds(self, count: int, *crons: CronScheduler) -> int:
        """Let seconds pass, with a look in each; return how many ticks were fired."""
        fired = 0
        for _ in range(count):
            self.app.clock.advance(SECOND)
            fired += sum(cron.tick() for cron in crons)
        return fired

    def silent_for(self) -> timedelta:
        now, (schedule,) = self.ledger.schedules()
        return schedule.next_at - now

    def _time(self, clock: FrozenClock) -> LedgerTime:
        self.times.append(LedgerTime(clock))
        return self.times[-1]


@pytest.mark.parametrize("ahead", [DAY, -DAY, 365 * DAY, MINUTE])
def test_a_schedule_goes_on_after_one_look_at_another_time(ahead: timedelta) -> None:
    scene = Jumping()
    cron = scene.cron()
    scene.seconds(3, cron)

    scene.set(ahead)
    scene.seconds(1, cron)
    scene.set(timedelta(0))

    assert scene.seconds(5, cron) >= 5
    assert scene.silent_for() <= SECOND


@pytest.mark.parametrize("ahead", [DAY, -DAY, 365 * DAY])
def test_a_schedule_that_a_process_fired_by_another_time_is_set_back(ahead: timedelta) -> None:
    scene = Jumping()
    cron = scene.cron()
    scene.seconds(3, cron)
    scene.set(ahead)
    scene.seconds(3, scene.cron())
    scene.set(timedelta(0))

    fired = scene.seconds(5, scene.cron())

    assert 4 <= fired <= 10
    assert scene.silent_for() <= SECOND
    ids = [job.id for job in scene.ledger.list_jobs(limit=1000)]
    assert len(ids) == len(set(ids))


def test_a_clock_that_stays_where_it_was_set_is_believed_and_makes_up_for_nothing() -> None:
    scene = Jumping()
    cron = scene.cron(missed="all")
    scene.seconds(3, cron)

    scene.set(DAY)
    fired = scene.seconds(2 * int(GRACE.total_seconds()), cron)

    assert fired <= 3 * GRACE.total_seconds()
    assert scene.silent_for() <= SECOND


def test_a_clock_that_was_behind_causes_no_flood_when_it_is_right_again() -> None:
    scene = Jumping()
    scene.seconds(3, scene.cron(missed="all"))
    scene.set(-DAY)
    scene.seconds(3, scene.cron(missed="all"))
    scene.set(timedelta(0))

    fired = scene.seconds(5, scene.cron(missed="all"))

    assert fired <= 10


def test_a_job_that_stands_still_for_three_leases_is_lost_whatever_the_ledger_says() -> None:
    scene = Jumping()
    scene.app.workers()
    handle, _ = scene.app.running(lease=LEASE)
    row = scene.ledger._store.rows[handle.id]
    assert row.lease_until is not None

    for lease in range(LEASES_STILL):
        assert handle.job().state is JobState.RUNNING, f"given up after {lease} leases"
        scene.app.rescuer.tick()
        # The ledger's clock goes back as fast as time passes: no lease ever ends on it.
        scene.app.clock.advance(LEASE)
        scene.set(-LEASE * (lease + 1))
    scene.app.rescuer.tick()

    assert handle.job().state is JobState.OFFERED


def test_a_lease_from_ahead_is_lost_after_one_lease() -> None:
    scene = Jumping()
    scene.app.workers()
    scene.set(DAY)
    handle, _ = scene.app.running(lease=LEASE)
    scene.set(timedelta(0))

    scene.app.rescuer.tick()
    scene.app.clock.advance(LEASE)
    scene.app.rescuer.tick()

    assert handle.job().state is JobState.OFFERED


def test_a_beat_that_stands_still_is_that_of_a_dead_worker() -> None:
    scene = Jumping()
    scene.app.worker("rq", ttl=MINUTE)
    assert scene.app.router.serves("rq", "default")

    for minute in range(TTLS_STILL + 1):
        # It counts as fresh on the ledger's clock, which goes back as time passes.
        scene.app.clock.advance(MINUTE)
        scene.set(-MINUTE * (minute + 1))
        scene.app.router.serves("rq", "default")
    scene.app.clock.advance(2 * SECOND)

    assert scene.ledger.live_workers()
    assert not scene.app.router.serves("rq", "default")


@pytest.mark.parametrize("ahead", [HOUR, DAY, 365 * DAY])
def test_an_offer_from_ahead_is_looked_into_within_the_longest_patience(ahead: timedelta) -> None:
    scene = Jumping()
    scene.app.workers()
    scene.set(ahead)
    handle = scene.app.dispatch()
    scene.set(timedelta(0))

    scene.app.rescuer.tick()

    pickup = handle.job().pickup_by
    assert pickup is not None
    assert pickup - scene.ledger.clock().now <= LONGEST_PATIENCE


def test_a_job_does_not_expire_by_a_clock_that_jumps() -> None:
    scene = Jumping()
    scene.app.workers()
    scene.app.rescuer.tick()
    handle = scene.app.dispatch(expires_in=HOUR)

    scene.set(DAY)
    scene.app.rescuer.tick()
    scene.set(timedelta(0))
    scene.app.rescuer.tick()

    assert not handle.job().state.is_terminal


def test_a_job_expires_by_a_clock_that_stays() -> None:
    scene = Jumping()
    scene.app.rescuer.tick()
    handle = scene.app.dispatch(expires_in=HOUR)

    scene.set(DAY)
    scene.app.rescuer.tick()
    scene.app.clock.advance(GRACE)
    scene.app.rescuer.tick()

    assert handle.job().state is JobState.CANCELLED


def test_what_is_mended_is_reported_once() -> None:
    scene = Jumping()
    scene.app.workers()
    scene.set(DAY)
    scene.app.dispatch(payload=Mail(), delay=MINUTE)
    scene.set(timedelta(0))

    for _ in range(5):
        scene.app.rescuer.tick()

    assert scene.app.events.kinds.count("ledger.mended") == 1


def test_a_watch_trusts_a_clock_that_is_back_at_once_and_another_after_a_while() -> None:
    clock = FrozenClock()
    time, watch = LedgerTime(clock), ClockWatch(clock)
    assert watch.look(time.now())

    time.ahead = DAY
    assert not watch.look(time.now())
    time.ahead = timedelta(0)
    assert watch.look(time.now())
    assert watch.set_back == DAY

    time.ahead = HOUR
    assert not watch.look(time.now())
    clock.advance(GRACE)
    assert watch.look(time.now())
