# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of workers that died, and of workers that were only cut off."""

from dataclasses import replace

from failsoft.job_engine.outcome import cut_off
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, WorkerRecord
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    ENDINGS,
    ERROR,
    LONG,
    MOMENT,
    SUCCESS,
    PassTime,
    expect_sound_history,
    is_fenced,
    reoffered,
    started,
    taken_over,
)

DYING = WorkerRecord("boot-9", "first", "default", "host-1", 4711, 8, machine="m-1", birth="17")


class LostLeasePromises:
    """Deaths that are reported, and crashes that are taken back."""

    def test_what_a_dead_process_had_claimed_is_an_orphan_at_once(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Although its lease has not run out; jobs of other processes are not touched."""
        ledger.beat(DYING, LONG)
        lost = [started(ledger, worker=DYING.boot_id) for _ in range(2)]
        other = started(ledger)
        pass_time(MOMENT)

        ledger.mark_dead(DYING)

        seen = {job.job_id: job for job in ledger.running()}
        assert [seen[claim.job_id].is_orphan for claim in (*lost, other)] == [True, True, False]
        assert not any(job.expired for job in seen.values())

    def test_a_process_that_never_beat_can_be_marked_too(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """It may have died between its first claim and its first beat; marks may be repeated."""
        started(ledger, worker=DYING.boot_id)
        pass_time(MOMENT)

        for _ in range(2):
            ledger.mark_dead(DYING)

        (seen,) = ledger.running()
        assert seen.is_orphan
        assert not ledger.live_workers()

    def test_a_wrong_mark_costs_a_process_what_it_has_and_no_more(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """What it claims later is its own, also after another mark, and its next beat counts."""
        ledger.beat(DYING, LONG)
        before = started(ledger, worker=DYING.boot_id)
        pass_time(MOMENT)
        ledger.mark_dead(DYING)
        silent = list(ledger.live_workers())
        pass_time(MOMENT)

        after = started(ledger, worker=DYING.boot_id)
        ledger.mark_dead(DYING)
        ledger.beat(DYING, LONG)

        seen = {job.job_id: job.is_orphan for job in ledger.running()}
        assert seen == {before.job_id: True, after.job_id: False}
        assert not silent
        assert [alive.boot_id for alive in ledger.live_workers()] == [DYING.boot_id]

    def test_an_overdue_beat_is_no_death(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Nor is a worker that retired while it ends what it has."""
        ledger.beat(DYING, MOMENT)
        started(ledger, worker=DYING.boot_id)
        pass_time(MOMENT * 2)
        overdue = ledger.running()
        ledger.retire(DYING.boot_id)

        assert [job.is_orphan for job in (*overdue, *ledger.running())] == [False, False]

    def test_the_workers_of_a_machine_are_found_however_old_their_beat(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """With what identifies their processes; the dead and other machines are left out."""
        elsewhere = replace(DYING, boot_id="boot-8", machine="m-2")
        dead = replace(DYING, boot_id="boot-7")
        for worker in (DYING, elsewhere, dead):
            ledger.beat(worker, MOMENT)
        pass_time(MOMENT * 2)
        ledger.mark_dead(dead)

        (found,) = ledger.workers_on("m-1")

        assert (found.boot_id, found.pid, found.birth) == (DYING.boot_id, DYING.pid, "17")
        assert not ledger.workers_on("m-3")

    def test_the_crash_of_an_owner_that_lives_is_taken_back_once(self, ledger: Ledger) -> None:
        """However often it is reported; the attempt that has the job meanwhile goes on."""
        lost = started(ledger)
        newer = taken_over(ledger, lost)
        assert ledger.get(lost.job_id).crashes == 1
        assert is_fenced(lambda: ledger.conclude(lost, cut_off()))

        assert [ledger.uncharge(lost) for _ in range(2)] == [True, True]

        assert ledger.get(lost.job_id).crashes == 0
        assert [event.kind for event in ledger.events(lost.job_id)].count("uncharge") == 1
        assert ledger.conclude(newer, SUCCESS) is JobState.SUCCEEDED
        expect_sound_history(ledger, lost.job_id)

    def test_a_crash_that_is_taken_back_stops_a_rescuer_from_failing_the_job_for_it(
        self, ledger: Ledger
    ) -> None:
        """A rescuer that counted it looks again."""
        lost = started(ledger)
        taken_over(ledger, lost)
        seen = ledger.get(lost.job_id)

        ledger.uncharge(lost)

        assert ledger.exhaust(seen, ERROR) is None
        assert ledger.get(lost.job_id).state is JobState.RUNNING

    def test_only_the_crash_of_a_lease_that_was_lost_is_taken_back(self, ledger: Ledger) -> None:
        """Not of a claim that holds, of one that ended itself, or of another worker's."""
        holds, ended = started(ledger), started(ledger)
        ledger.conclude(ended, ENDINGS[JobState.SUCCEEDED])
        lost = started(ledger)
        reoffered(ledger, lost.job_id)
        foreign: Claim = replace(lost, claim_id="f" * 32)

        assert [ledger.uncharge(each) for each in (holds, ended, foreign)] == [False] * 3
        assert ledger.get(lost.job_id).crashes == 1

    def test_a_job_that_has_ended_keeps_its_crashes(self, ledger: Ledger) -> None:
        """Nothing changes after the end (I4)."""
        lost = started(ledger)
        ledger.conclude(taken_over(ledger, lost), SUCCESS)
        before = ledger.get(lost.job_id)

        assert not ledger.uncharge(lost)
        assert ledger.get(lost.job_id) == before
