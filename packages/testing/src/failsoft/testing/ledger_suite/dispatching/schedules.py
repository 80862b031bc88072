# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about schedules: each tick once, of the present spec only."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.schedules import (
    ScheduleDeclaration,
    ScheduleRecord,
    Tick,
    TickOutcome,
    tick_id,
    tick_key,
)
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import MOMENT, PassTime, new_job
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once, both

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def declared(ledger: Ledger, name: str = "sweep", spec: str = "{}") -> ScheduleRecord:
    """Declare a schedule whose next tick was long ago, so that several are due."""
    now, _ = ledger.schedules()
    assert ledger.declare_schedule(None, ScheduleDeclaration(name, spec, now - DAY))
    return the(ledger, name)


def the(ledger: Ledger, name: str = "sweep") -> ScheduleRecord:
    """Return a schedule as it is."""
    (found,) = [each for each in ledger.schedules()[1] if each.name == name]
    return found


def tick_of(seen: ScheduleRecord, *, unless_running: bool = False) -> Tick:
    """Return the next tick, with a job whose id and key come from it."""
    job = new_job(
        id=tick_id(seen.name, seen.next_at),
        name=seen.name,
        idempotency_key=tick_key(seen.name, seen.next_at),
        run_at=seen.next_at,
    )
    return Tick(seen.next_at, seen.next_at + HOUR, job, unless_running)


class SchedulePromises:
    """`ScheduleLedger`."""

    def test_a_schedule_is_declared_once(self, ledger: Ledger) -> None:
        """A second declaration is refused, and changes nothing."""
        first = declared(ledger)

        second = ScheduleDeclaration("sweep", '{"other": 1}', first.next_at + HOUR)

        assert not ledger.declare_schedule(None, second)
        assert replace(the(ledger), read_at=first.read_at) == first

    def test_schedules_are_read_by_name_with_the_time_of_the_ledger(self, ledger: Ledger) -> None:
        """One clock decides."""
        declared(ledger, "b")
        declared(ledger, "a")

        now, found = ledger.schedules()

        assert [each.name for each in found] == ["a", "b"]
        assert {each.read_at for each in found} == {now}
        assert not any(each.paused or each.is_orphaned for each in found)

    def test_a_tick_is_fired_with_its_job(self, ledger: Ledger) -> None:
        """And the next one stands."""
        seen = declared(ledger)
        tick = tick_of(seen)
        assert tick.job is not None

        assert ledger.take_tick(seen, tick) is TickOutcome.FIRED

        after, job = the(ledger), ledger.get(tick.job.id)
        assert (after.last_at, after.last_job_id) == (seen.next_at, job.id)
        assert after.next_at == seen.next_at + HOUR
        assert (job.state, job.run_at) == (JobState.SCHEDULED, seen.next_at)

    def test_a_tick_is_fired_once(self, ledger: Ledger) -> None:
        """A second call for the same tick changes nothing, whatever it is to do."""
        seen = declared(ledger)
        ledger.take_tick(seen, tick_of(seen))

        again = ledger.take_tick(seen, tick_of(seen))
        leave_out = ledger.take_tick(seen, replace(tick_of(seen), job=None))

        assert (again, leave_out) == (TickOutcome.STALE, TickOutcome.STALE)
        assert len(ledger.list_jobs()) == 1
        assert the(ledger).skipped_at is None

    def test_a_tick_of_a_spec_that_was_replaced_is_not_fired(self, ledger: Ledger) -> None:
        """An old node has an old spec."""
        seen = declared(ledger)
        new = ScheduleDeclaration("sweep", '{"new": 1}', seen.next_at, former=("old",))
        assert ledger.declare_schedule(seen, new)

        assert ledger.take_tick(seen, tick_of(seen)) is TickOutcome.STALE
        assert not ledger.declare_schedule(seen, replace(new, spec='{"newer": 1}'))
        assert (the(ledger).spec, the(ledger).former) == ('{"new": 1}', ("old",))
        assert not ledger.list_jobs()

    def test_a_tick_may_be_left_out_and_says_why(self, ledger: Ledger) -> None:
        """Without a job."""
        seen = declared(ledger)

        outcome = ledger.take_tick(seen, replace(tick_of(seen), job=None, reason="missed"))

        after = the(ledger)
        assert outcome is TickOutcome.SKIPPED
        assert (after.skipped_at, after.skip_reason) == (seen.next_at, "missed")
        assert (after.next_at, after.last_at) == (seen.next_at + HOUR, None)
        assert not ledger.list_jobs()

    def test_a_tick_waits_for_no_job_that_has_ended(self, ledger: Ledger) -> None:
        """Left out while the job of the tick before waits or runs, fired when it has ended."""
        first = declared(ledger)
        ledger.take_tick(first, tick_of(first, unless_running=True))

        second = the(ledger)
        left_out = ledger.take_tick(second, tick_of(second, unless_running=True))
        ledger.cancel(str(second.last_job_id), "ada")
        third = the(ledger)
        fired = ledger.take_tick(third, tick_of(third, unless_running=True))

        assert (left_out, fired) == (TickOutcome.SKIPPED, TickOutcome.FIRED)
        assert third.skip_reason
        assert len(ledger.list_jobs()) == 2  # noqa: PLR2004 - of three ticks

    def test_a_tick_whose_key_another_job_has_is_left_out(self, ledger: Ledger) -> None:
        """And says so; the schedule goes on."""
        seen = declared(ledger)
        tick = tick_of(seen)
        assert tick.job is not None
        ledger.record_job(replace(tick.job, id="another"), None)

        outcome = ledger.take_tick(seen, tick)

        after = the(ledger)
        assert outcome is TickOutcome.SKIPPED
        assert (after.last_job_id, after.last_at, after.skipped_at) == (None, None, seen.next_at)
        assert after.next_at == seen.next_at + HOUR

    def test_a_paused_schedule_fires_nothing(self, ledger: Ledger) -> None:
        """Until it is resumed, with the tick that is given then."""
        seen = declared(ledger)
        assert ledger.pause_schedule("sweep")

        assert ledger.take_tick(seen, tick_of(seen)) is TickOutcome.STALE
        assert ledger.resume_schedule(the(ledger), seen.next_at + 5 * HOUR)

        after = the(ledger)
        assert (after.paused, after.next_at) == (False, seen.next_at + 5 * HOUR)

    def test_a_missing_schedule_cannot_be_paused_or_resumed(self, ledger: Ledger) -> None:
        """Nor what was changed meanwhile be resumed."""
        seen = declared(ledger)
        ledger.declare_schedule(seen, ScheduleDeclaration("sweep", '{"new": 1}', seen.next_at))

        assert not ledger.pause_schedule("other")
        assert not ledger.resume_schedule(seen, seen.next_at)

    def test_a_new_spec_leaves_a_schedule_paused(self, ledger: Ledger) -> None:
        """What a person decided stays."""
        seen = declared(ledger)
        ledger.pause_schedule("sweep")

        ledger.declare_schedule(seen, ScheduleDeclaration("sweep", '{"new": 1}', seen.next_at))

        assert the(ledger).paused

    def test_only_the_present_spec_is_confirmed(self, ledger: Ledger, pass_time: PassTime) -> None:
        """A process that runs another one does not keep this one alive."""
        kept, other = declared(ledger), declared(ledger, "other")
        pass_time(MOMENT)

        ledger.confirm_schedules([("sweep", kept.spec), ("other", '{"old": 1}'), ("gone", "{}")])

        assert the(ledger).declared_at > kept.declared_at
        assert the(ledger, "other").declared_at == other.declared_at

    def test_a_crowd_of_nodes_fires_each_tick_once(self, ledger: Ledger) -> None:
        """No leader is needed, and a job is never made twice."""
        declared(ledger)
        for turn in range(1, ROUNDS + 1):
            seen = the(ledger)

            outcomes = at_once([partial(ledger.take_tick, seen, tick_of(seen))] * CROWD)

            assert outcomes.count(TickOutcome.FIRED) == 1
            assert len(ledger.list_jobs()) == turn

    def test_a_crowd_declares_one_schedule(self, ledger: Ledger) -> None:
        """Every worker of a deploy starts at the same moment."""
        now, _ = ledger.schedules()
        for turn in range(ROUNDS):
            news = [ScheduleDeclaration(f"s{turn}", "{}", now + n * HOUR) for n in range(CROWD)]

            answers = at_once([partial(ledger.declare_schedule, None, new) for new in news])

            assert answers.count(True) == 1

    def test_a_pause_and_a_tick_agree_on_their_order(self, ledger: Ledger) -> None:
        """After a pause was answered nothing is fired."""
        for turn in range(ROUNDS):
            seen = declared(ledger, f"s{turn}")

            both(
                partial(ledger.pause_schedule, seen.name),
                partial(ledger.take_tick, seen, tick_of(seen)),
            )

            now = the(ledger, seen.name)
            assert ledger.take_tick(now, tick_of(now)) is TickOutcome.STALE
