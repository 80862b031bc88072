# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of a clock that jumps ahead and back: no span lasts longer for it."""

import json
from dataclasses import replace
from datetime import timedelta

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope, hashed
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.schedules import ScheduleDeclaration
from failsoft.job_engine.records.states import CRASH, RELEASE, RETRY, SUSPEND, JobState
from failsoft.job_engine.records.waits import SentEvent, Wait, event_topic
from failsoft.testing.ledger_suite.attempts.rescue import WORKER
from failsoft.testing.ledger_suite.fixtures import (
    ERROR,
    LONG,
    MOMENT,
    QUEUE,
    SUCCESS,
    PassTime,
    claimed,
    new_job,
    offered,
    plan,
    reoffered,
    started,
    waiting,
)

DAY = timedelta(days=1)
NOW = timedelta(0)
#: No test takes so long, however slow the machine.
TAKES = timedelta(minutes=5)
PATIENCE = {QUEUE: LONG}


class ClockJumpPromises:
    """`clock` and `mend`; a beat, a lease, a next tick that a clock ahead has written."""

    def test_a_clock_that_never_jumped_leaves_nothing_to_mend(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Whatever waits, for however long."""
        ids = [offered(ledger).id, waiting(ledger, LONG).id, started(ledger).job_id]
        ledger.beat(WORKER, MOMENT)
        before = [ledger.get(each) for each in ids]

        pass_time(MOMENT)

        assert not ledger.clock().ahead(LONG)
        assert ledger.mend(PATIENCE, DAY) == 0
        assert [ledger.get(each) for each in ids] == before

    def test_a_clock_that_was_ahead_is_known_by_what_it_wrote(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """By a job that was recorded, a beat, or the deadline of an offer."""
        pass_time(DAY)
        job = offered(ledger)
        assert not ledger.clock().ahead(LONG)

        pass_time(-DAY)

        found = ledger.clock()
        assert found.ahead(LONG) > LONG
        assert found.newest == job.created_at
        assert found.pickup == job.pickup_by

    def test_a_beat_from_ahead_counts_for_its_span_from_the_first_look(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """And not for the size of the jump."""
        pass_time(DAY)
        ledger.beat(WORKER, LONG)
        pass_time(-DAY)

        (worker,) = ledger.live_workers()
        now = ledger.clock().now

        assert worker.live_until is not None
        assert worker.live_until - now <= LONG
        pass_time(LONG)
        assert not ledger.live_workers()

    def test_a_death_that_a_clock_ahead_has_noted_is_one_when_the_clock_is_right(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Or its engine would get the jobs of others for the size of the jump."""
        ledger.beat(WORKER, LONG)
        pass_time(DAY)
        for each in (WORKER, replace(WORKER, boot_id="never-beat")):
            ledger.mark_dead(each)
        assert not ledger.live_workers()

        pass_time(-DAY)

        assert not ledger.live_workers()

    def test_a_death_of_a_process_that_beat_ahead_of_the_clock_is_one(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Whatever its last beat says."""
        pass_time(DAY)
        ledger.beat(WORKER, LONG)
        pass_time(-DAY)

        ledger.mark_dead(WORKER)

        assert not ledger.live_workers()

    def test_a_lease_from_ahead_has_run_out(self, ledger: Ledger, pass_time: PassTime) -> None:
        """It is no authority until it is renewed."""
        pass_time(DAY)
        claim = started(ledger)
        pass_time(-DAY)

        assert [running.expired for running in ledger.running()] == [True]
        ledger.renew([claim])
        assert [running.expired for running in ledger.running()] == [False]

    def test_a_pickup_from_ahead_is_pulled_in(self, ledger: Ledger, pass_time: PassTime) -> None:
        """To the longest patience of its queue; the offer stands."""
        pass_time(DAY)
        job = offered(ledger)
        pass_time(-DAY)

        assert ledger.mend(PATIENCE, DAY) == 1

        after = ledger.get(job.id)
        assert after.pickup_by is not None
        assert after.pickup_by - ledger.clock().now <= LONG
        assert (after.state, after.epoch, after.revision) == (job.state, job.epoch, job.revision)
        assert claimed(ledger, after) is not None

    def test_a_pickup_of_another_queue_is_left_alone(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Another program may serve it, with a pickup patience of its own."""
        pass_time(DAY)
        job = offered(ledger)
        pass_time(-DAY)

        ledger.mend({"another": MOMENT}, DAY)

        assert ledger.get(job.id).pickup_by == job.pickup_by

    def test_what_waits_for_a_span_waits_for_it_from_now(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """A retry, a crash, a sleep, a job given back, a delay."""
        pass_time(DAY)
        nap = StepRecord("nap", 0, StepKind.SLEEP, "null")
        ends = (
            Conclusion(RETRY, error=ERROR, delay=MOMENT),
            Conclusion(CRASH, error=ERROR, delay=MOMENT),
            Conclusion(SUSPEND, delay=MOMENT, step=nap),
            Conclusion(RELEASE),
        )
        ids = []
        for end in ends:
            claim = started(ledger)
            ledger.conclude(claim, end)
            ids.append(claim.job_id)
        ids.append(waiting(ledger, MOMENT).id)
        pass_time(-DAY)
        assert not ledger.due(10)

        assert ledger.mend(PATIENCE, DAY) == len(ids)

        until = [ledger.get(job_id).run_at for job_id in ids]
        assert all(moment and moment - ledger.clock().now <= MOMENT for moment in until)
        assert ledger.mend(PATIENCE, DAY) == 0
        pass_time(MOMENT)
        assert {job.id for job in ledger.due(10)} == set(ids)

    def test_a_parked_job_is_offered_again_soon(self, ledger: Ledger, pass_time: PassTime) -> None:
        """No engine took it while the clock was ahead."""
        pass_time(DAY)
        job = offered(ledger)
        ledger.park(job, timedelta(seconds=5), "no engine took it")
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)
        pass_time(MOMENT)

        assert [each.id for each in ledger.due(10)] == [job.id]

    def test_a_parked_job_whose_crash_was_taken_back_is_offered_again_soon(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Events since the park do not change how long the job waits."""
        pass_time(DAY)
        lost = started(ledger)
        moved = reoffered(ledger, lost.job_id)
        assert ledger.park(moved, MOMENT, "no engine takes offers") is not None
        assert ledger.uncharge(lost)
        pass_time(-DAY)

        assert ledger.mend(PATIENCE, DAY) == 1

        due = ledger.get(lost.job_id).run_at
        assert due is not None
        assert due - ledger.clock().now <= MOMENT

    def test_a_moment_that_a_dispatch_named_stays(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """By whatever clock it was recorded; and so does one that a sleep names."""
        moment = ledger.clock().now + 3 * DAY
        pass_time(DAY)
        job = waiting(ledger, run_at=moment)
        claim = started(ledger)
        nap = StepRecord("nap", 0, StepKind.SLEEP, "null")
        ledger.conclude(claim, Conclusion(SUSPEND, run_at=moment, step=nap))
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)

        assert [ledger.get(each).run_at for each in (job.id, claim.job_id)] == [moment, moment]

    def test_a_long_delay_from_before_the_jump_stays(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """However long it still is."""
        job = waiting(ledger, 2 * DAY)
        pass_time(DAY)
        offered(ledger)
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)

        assert ledger.get(job.id).run_at == job.run_at

    def test_a_clock_that_is_behind_lets_nothing_wait_beyond_its_span(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """To what was right, it looks as if it had been written ahead."""
        claim = started(ledger)
        ledger.conclude(claim, Conclusion(RETRY, error=ERROR, delay=MOMENT))
        pass_time(-LONG)

        ledger.mend(PATIENCE, DAY)
        pass_time(MOMENT)

        assert [job.id for job in ledger.due(10)] == [claim.job_id]

    def test_a_wait_ends_after_its_timeout(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Counted from the mending, where it began while the clock was ahead."""
        pass_time(DAY)
        claim = started(ledger)
        wait, step = _wait(claim.job_id), StepRecord("news", 0, StepKind.WAIT, "{}")
        end = Conclusion(SUSPEND, delay=wait.pause, step=step, wait=wait)
        ledger.conclude(claim, end)
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)
        pass_time(MOMENT)

        (due,) = ledger.due(10)
        moved = ledger.offer(due, plan())
        assert moved is not None
        met = ledger.receive(claimed(ledger, moved), step, wait)
        assert met is not None
        assert json.loads(met.result) == {"timeout": True}

    def test_a_wait_ends_after_its_timeout_though_its_job_was_not_mended(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Counted from its next look: it was offered, or ran, when the clock came back."""
        pass_time(DAY)
        claim = started(ledger)
        wait, step = _wait(claim.job_id), StepRecord("news", 0, StepKind.WAIT, "{}")
        end = Conclusion(SUSPEND, delay=wait.pause, step=step, wait=wait)
        ledger.conclude(claim, end)
        pass_time(MOMENT)
        (due,) = ledger.due(10)
        moved = ledger.offer(due, plan())
        assert moved is not None
        pass_time(-DAY - MOMENT)

        claim = claimed(ledger, moved)
        assert ledger.receive(claim, step, wait) is None
        pass_time(MOMENT)

        met = ledger.receive(claim, step, wait)
        assert met is not None
        assert json.loads(met.result) == {"timeout": True}

    def test_a_job_expires_after_its_span(self, ledger: Ledger, pass_time: PassTime) -> None:
        """And one that is to have begun by a moment does by that."""
        moment = ledger.clock().now + 3 * DAY
        pass_time(DAY)
        job = offered(ledger, expires_in=MOMENT)
        other = offered(ledger, expires_at=moment)
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)
        pass_time(MOMENT + TAKES)

        assert [late.id for late in ledger.expired(10)] == [job.id]
        assert ledger.get(other.id).expires_at == moment

    def test_a_key_is_held_for_its_span(self, ledger: Ledger, pass_time: PassTime) -> None:
        """And no longer, however often it is mended."""
        key = UniqueKey(hashed("one"), UniqueScope.PERIOD, LONG)
        pass_time(DAY)
        first = offered(ledger, unique=key)
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)
        ledger.mend(PATIENCE, DAY)

        assert ledger.record_job(new_job(unique=key), plan())[0].id == first.id
        pass_time(LONG)
        assert ledger.record_job(new_job(unique=key), plan())[1]

    def test_a_start_counts_for_its_period(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Counted from the mending at the latest."""
        limits = Limits(rate=Limit(hashed("one an hour"), 1, LONG))
        pass_time(DAY)
        claimed(ledger, offered(ledger, limits=limits))
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)

        assert [use.taken for use in ledger.limit_uses(limits)] == [1]
        pass_time(LONG + MOMENT)
        assert [use.taken for use in ledger.limit_uses(limits)] == [0]

    def test_a_sent_event_is_kept_for_its_span(self, ledger: Ledger, pass_time: PassTime) -> None:
        """In the order in which they were sent."""
        claim = started(ledger)
        wait, step = _wait(claim.job_id), StepRecord("news", 0, StepKind.WAIT, "{}")
        pass_time(DAY)
        for number in (2, 1):
            ledger.send(SentEvent(f"event-{number}", wait.topic, "news", str(number), LONG))
            pass_time(MOMENT)
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)

        met = ledger.receive(claim, step, wait)
        assert met is not None
        assert json.loads(met.result)["id"] == "event-2"
        pass_time(LONG + MOMENT)
        assert ledger.receive(claim, StepRecord("more", 1, StepKind.WAIT, "{}"), wait) is None

    def test_what_an_event_woke_is_due(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Its wake-up is its last event, and not the wait before it."""
        claim = started(ledger)
        wait = _wait(claim.job_id)
        pending = StepRecord("news", 0, StepKind.WAIT, "{}")
        ledger.conclude(claim, Conclusion(SUSPEND, delay=LONG, step=pending, wait=wait))
        pass_time(DAY)
        ledger.send(SentEvent("event", wait.topic, "news", "1", LONG))
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)

        assert claim.job_id in [job.id for job in ledger.due(10)]

    def test_an_end_is_no_newer_than_now(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Or it would be kept for longer than others, and in the place of others."""
        pass_time(DAY)
        claim = started(ledger)
        ledger.conclude(claim, SUCCESS)
        pass_time(-DAY)

        ledger.mend(PATIENCE, DAY)

        job = ledger.get(claim.job_id)
        assert job.state is JobState.SUCCEEDED
        assert job.finished_at is not None
        assert job.finished_at <= ledger.clock().now

    def test_a_schedule_is_set_back_as_it_was_seen(self, ledger: Ledger) -> None:
        """Or not at all: another process may have gone on with it."""
        now = ledger.clock().now
        ledger.declare_schedule(None, ScheduleDeclaration("ticking", "{}", now + DAY))
        (seen,) = ledger.schedules()[1]

        assert ledger.set_back(seen, now + MOMENT)
        assert not ledger.set_back(seen, now)

        assert [each.next_at for each in ledger.schedules()[1]] == [now + MOMENT]

    def test_a_schedule_that_a_clock_ahead_declared_is_an_orphan(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Until a process declares it again."""
        pass_time(DAY)
        ledger.declare_schedule(None, ScheduleDeclaration("ticking", "{}", ledger.clock().now))
        pass_time(-DAY)

        assert [each.is_orphaned for each in ledger.schedules()[1]] == [True]
        ledger.confirm_schedules([("ticking", "{}")])
        assert [each.is_orphaned for each in ledger.schedules()[1]] == [False]


def _wait(job_id: str) -> Wait:
    return Wait(event_topic("news", job_id=job_id), MOMENT)
