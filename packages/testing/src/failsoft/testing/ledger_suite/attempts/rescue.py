# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about time: what is due, unclaimed, expired, alive."""

from datetime import UTC, datetime, timedelta

from failsoft.job_engine.policies.limits import NO_LIMITS, Limit, Limits
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    FIRST,
    LONG,
    MOMENT,
    SECOND,
    SUCCESS,
    PassTime,
    claimed,
    offered,
    reoffered,
    started,
    waiting,
)

NOW = timedelta(0)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
WORKER = WorkerRecord("boot-1", "first", "default", "host-1", 4711, 8)


class RescuePromises:
    """`due`, `unclaimed`, `hasten`, `running`, `renew`, heartbeats; one clock decides (rule 12)."""

    def test_a_job_is_due_when_its_time_has_come(self, ledger: Ledger, pass_time: PassTime) -> None:
        """And not before."""
        soon, later = waiting(ledger, MOMENT), waiting(ledger, LONG)

        pass_time(MOMENT)

        assert [job.id for job in ledger.due(10)] == [soon.id]
        assert ledger.due(10)[0] == ledger.get(soon.id)
        assert later.id not in {job.id for job in ledger.due(10)}

    def test_the_most_urgent_job_is_due_first(self, ledger: Ledger) -> None:
        """By priority, then by how long it has been due."""
        third = waiting(ledger, run_at=LONG_AGO + LONG)
        second = waiting(ledger, run_at=LONG_AGO)
        last = waiting(ledger, run_at=LONG_AGO, priority=-5)
        first = waiting(ledger, run_at=LONG_AGO + LONG, priority=5)

        due = [job.id for job in ledger.due(10)]

        assert due == [first.id, second.id, third.id, last.id]

    def test_no_more_is_returned_than_the_limit(self, ledger: Ledger) -> None:
        """The most urgent ones are."""
        for priority in (0, 9, 3):
            waiting(ledger, NOW, priority=priority)

        assert [job.priority for job in ledger.due(2)] == [9, 3]

    def test_only_waiting_jobs_are_due(self, ledger: Ledger) -> None:
        """Not one that was offered meanwhile, runs or has ended."""
        waiting_no_more = waiting(ledger, NOW)
        reoffered(ledger, waiting_no_more.id)
        offered(ledger)
        ledger.conclude(started(ledger), SUCCESS)

        assert not ledger.due(10)

    def test_a_retry_is_due_after_its_delay(self, ledger: Ledger) -> None:
        """It waits like any other."""
        late, soon = started(ledger), started(ledger)
        ledger.conclude(late, CONCLUSIONS[1])
        ledger.conclude(soon, CONCLUSIONS[6])

        assert [job.id for job in ledger.due(10)] == [soon.job_id]

    def test_an_offer_is_unclaimed_when_its_pickup_deadline_has_passed(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The oldest first, and no more than the limit."""
        first = offered(ledger, pickup=MOMENT)
        pass_time(MOMENT)
        second = offered(ledger, pickup=MOMENT)
        offered(ledger, pickup=LONG)
        pass_time(MOMENT)

        assert [job.id for job in ledger.unclaimed(10)] == [first.id, second.id]
        assert [job.id for job in ledger.unclaimed(1)] == [first.id]

    def test_a_claimed_or_postponed_offer_is_not_unclaimed(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """A worker or a rescuer has handled it."""
        taken, patient = offered(ledger, pickup=MOMENT), offered(ledger, pickup=MOMENT)
        claimed(ledger, taken)
        pass_time(MOMENT)

        ledger.postpone(patient, LONG)

        assert not ledger.unclaimed(10)

    def test_offers_that_are_looked_at_late_can_be_looked_at_now(self, ledger: Ledger) -> None:
        """Those of one engine and queue, and only the looks that are far away."""
        far, near = offered(ledger, pickup=2 * LONG), offered(ledger, pickup=LONG / 2)
        elsewhere = offered(ledger, SECOND, pickup=2 * LONG)
        before = ledger.get(far.id)

        ledger.hasten(str(far.engine), far.queue, LONG)
        ledger.hasten(str(far.engine), "another-queue", NOW)

        assert [job.id for job in ledger.unclaimed(10)] == [far.id]
        hastened = ledger.get(far.id)
        assert (hastened.epoch, hastened.revision) == (before.epoch, before.revision)
        assert hastened.pickups_missed == before.pickups_missed
        assert ledger.get(near.id) == near
        assert ledger.get(elsewhere.id) == elsewhere

    def test_what_is_due_is_within_reach(self, ledger: Ledger) -> None:
        """Jobs that may run on none of a process's engines take no place of others."""
        limits = Limits(Limit("reach", 10))
        for engines in (("third",), ("FIRST", "first,"), ("firs_", "%")):
            waiting(ledger, NOW, engines=engines, priority=9)
            waiting(ledger, NOW, engines=engines, priority=9, limits=limits)
        ours = [
            waiting(ledger, NOW, engines=engines, limits=limited).id
            for engines in ((), ("third", FIRST), (SECOND,))
            for limited in (NO_LIMITS, limits)
        ]
        reach = Reach(frozenset({FIRST, SECOND}))

        assert {job.id for job in ledger.due(len(ours), reach)} == set(ours)
        assert len(ledger.due(100)) == 2 * len(ours)
        assert {job.engines for job in ledger.due(100, Reach(frozenset()))} == {()}

    def test_only_room_that_a_process_can_give_is_counted(self, ledger: Ledger) -> None:
        """The one place of a key goes to the first job that the process may offer."""
        limits = Limits(Limit("reach", 1))
        waiting(ledger, NOW, engines=("third",), limits=limits)
        ours = waiting(ledger, NOW, engines=(FIRST,), limits=limits)

        assert [job.id for job in ledger.due(10, Reach(frozenset({FIRST})))] == [ours.id]

    def test_what_is_unclaimed_is_within_reach(self, ledger: Ledger) -> None:
        """So is what was offered to an engine that other processes serve."""
        for _ in range(3):
            offered(ledger, "third", pickup=-MOMENT, engines=("third",))
            offered(ledger, "third", pickup=-MOMENT)
        ours = [
            offered(ledger, FIRST, pickup=NOW, engines=(FIRST,)).id,
            offered(ledger, SECOND, pickup=NOW).id,
        ]
        reach = Reach(frozenset({FIRST}), others=frozenset({"third"}))

        assert {job.id for job in ledger.unclaimed(2, reach)} == set(ours)
        assert len(ledger.unclaimed(100, Reach(frozenset({FIRST})))) == len(ours) + 3
        assert len(ledger.unclaimed(100)) == len(ours) + 6

    def test_running_jobs_are_watched(self, ledger: Ledger) -> None:
        """With all that a rescuer compares, and no others."""
        claim = started(ledger, lease=LONG)
        offered(ledger)
        ledger.conclude(started(ledger), SUCCESS)

        (watched,) = ledger.running()

        job = ledger.get(claim.job_id)
        assert (watched.job_id, watched.epoch, watched.revision) == (
            job.id,
            job.epoch,
            job.revision,
        )
        assert (watched.lease, watched.expired) == (LONG, False)

    def test_a_lease_that_is_not_renewed_runs_out(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """On the ledger's clock; the authority stays until a hand-over."""
        claim = started(ledger, lease=MOMENT)

        pass_time(MOMENT * 2)

        assert [watched.expired for watched in ledger.running()] == [True]
        assert ledger.renew([claim])

    def test_renewing_moves_the_end_of_the_lease(self, ledger: Ledger, pass_time: PassTime) -> None:
        """And is seen by a rescuer that looked before (R16)."""
        claim = started(ledger)
        before = ledger.get(claim.job_id)
        pass_time(MOMENT)

        renewed = ledger.renew([claim])

        after = ledger.get(claim.job_id)
        assert renewed
        assert after.revision == before.revision + 1
        assert after.lease_until is not None
        assert before.lease_until is not None
        assert after.lease_until - before.lease_until >= MOMENT

    def test_renewing_is_no_event(self, ledger: Ledger) -> None:
        """The history holds transitions, not heartbeats."""
        claim = started(ledger)
        before = len(ledger.events(claim.job_id))

        ledger.renew([claim])

        assert len(ledger.events(claim.job_id)) == before

    def test_a_lease_can_only_be_renewed_by_its_holder(self, ledger: Ledger) -> None:
        """Neither after the end of the attempt nor after the job was handed over."""
        done, lost = started(ledger), started(ledger)
        ledger.conclude(done, SUCCESS)
        moved = reoffered(ledger, lost.job_id)

        assert not ledger.renew([done])
        assert not ledger.renew([lost])
        assert ledger.get(lost.job_id) == moved

    def test_leases_are_renewed_together_and_those_that_are_lost_are_left_out(
        self, ledger: Ledger
    ) -> None:
        """A process with many attempts renews them in one call."""
        first, lost, second = started(ledger), started(ledger), started(ledger)
        moved = reoffered(ledger, lost.job_id)
        before = [ledger.get(claim.job_id).revision for claim in (first, second)]

        renewed = ledger.renew([first, lost, second])

        assert {claim.job_id for claim in renewed} == {first.job_id, second.job_id}
        assert [ledger.get(claim.job_id).revision for claim in (first, second)] == [
            revision + 1 for revision in before
        ]
        assert ledger.get(lost.job_id) == moved

    def test_a_worker_that_beats_is_alive(self, ledger: Ledger) -> None:
        """Known by its boot id, with what it serves."""
        ledger.beat(WORKER, LONG)

        (alive,) = ledger.live_workers()

        assert (alive.boot_id, alive.engine, alive.queue) == ("boot-1", "first", "default")
        assert (alive.host, alive.pid, alive.slots) == ("host-1", 4711, 8)
        assert alive.started_at is not None
        assert alive.seen_at is not None

    def test_a_worker_that_is_silent_is_not_alive(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Its last beat counts for so long and no longer."""
        ledger.beat(WORKER, MOMENT)

        pass_time(MOMENT * 2)

        assert not ledger.live_workers()

    def test_another_beat_keeps_a_worker_alive(self, ledger: Ledger, pass_time: PassTime) -> None:
        """It is the same worker, started when it was."""
        ledger.beat(WORKER, MOMENT)
        pass_time(MOMENT * 2)

        ledger.beat(WORKER, LONG)

        (alive,) = ledger.live_workers()
        assert alive.started_at is not None
        assert alive.seen_at is not None
        assert alive.seen_at - alive.started_at >= MOMENT

    def test_a_worker_that_stops_is_forgotten_at_once(self, ledger: Ledger) -> None:
        """Others are not; an unknown one is ignored."""
        other = WorkerRecord("boot-2", "second", "default", "host-1", 4712, 8)
        for worker in (WORKER, other):
            ledger.beat(worker, LONG)

        ledger.retire("boot-1")
        ledger.retire("boot-3")

        assert [alive.boot_id for alive in ledger.live_workers()] == ["boot-2"]
