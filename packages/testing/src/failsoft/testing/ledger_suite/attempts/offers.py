# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when a job is offered, handed over and parked."""

from dataclasses import replace
from datetime import timedelta

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Conclusion, DispatchTry, JobRecord, TryOutcome
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ERROR,
    FIRST,
    LONG,
    SECOND,
    SUCCESS,
    claimed,
    ended,
    new_job,
    offered,
    plan,
    reoffered,
    started,
    ticket,
    waiting,
)

DAY = timedelta(days=1)
ACCEPTED = DispatchTry(FIRST, 1, "offer", TryOutcome.ACCEPTED, "", 0.125)


class OfferPromises:
    """`offer`, `park`, `exhaust`, `postpone`: compare and set (rules 4, 5 and 18)."""

    def test_a_job_whose_time_has_come_gets_its_first_epoch(self, ledger: Ledger) -> None:
        """And no hand-off is counted, for no engine had it."""
        job = ledger.offer(waiting(ledger), plan(SECOND, DAY))

        assert job is not None
        assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, SECOND, 1)
        assert (job.handoffs, job.pickups_missed, job.run_at) == (0, 0, None)
        assert job.pickup_by is not None
        assert job == ledger.get(job.id)

    def test_every_offer_has_a_new_epoch(self, ledger: Ledger) -> None:
        """Also to the same engine (rule 5)."""
        job = offered(ledger)

        epochs = [reoffered(ledger, job.id).epoch for _ in range(3)]

        assert epochs == [2, 3, 4]

    def test_an_offer_that_is_not_claimed_counts_a_missed_pickup_and_nothing_else(
        self, ledger: Ledger
    ) -> None:
        """It charges no attempt (rule 18)."""
        job = offered(ledger)

        moved = reoffered(ledger, job.id)

        assert moved.pickups_missed == 1
        assert (moved.claims, moved.errors, moved.crashes, moved.handoffs) == (0, 0, 0, 0)

    def test_a_lost_lease_counts_a_crash_and_ends_the_attempt(self, ledger: Ledger) -> None:
        """The job is handed over; what held it holds nothing (I2)."""
        claim = started(ledger)

        moved = reoffered(ledger, claim.job_id, SECOND)

        assert (moved.state, moved.engine, moved.epoch) == (JobState.OFFERED, SECOND, 2)
        assert (moved.crashes, moved.errors, moved.lease_until) == (1, 0, None)
        assert [each.outcome for each in ledger.attempts(claim.job_id)] == ["recover"]

    def test_a_hand_off_is_counted_only_when_the_engine_changes(self, ledger: Ledger) -> None:
        """Another offer to the same engine is none (rule 18)."""
        job = offered(ledger, FIRST)

        counts = [reoffered(ledger, job.id, to).handoffs for to in (FIRST, SECOND, SECOND, FIRST)]

        assert counts == [0, 1, 1, 2]

    def test_a_retry_on_another_engine_is_a_hand_off(self, ledger: Ledger) -> None:
        """A waiting job keeps the engine that it had."""
        claim = started(ledger)
        ledger.conclude(claim, CONCLUSIONS[1])

        assert reoffered(ledger, claim.job_id, SECOND).handoffs == 1

    def test_an_offer_loses_against_another_offer(self, ledger: Ledger) -> None:
        """Two rescuers saw the same; one moves the job (R14)."""
        seen = offered(ledger)
        moved = reoffered(ledger, seen.id, SECOND)

        assert ledger.offer(seen, plan(FIRST)) is None
        assert ledger.get(seen.id) == moved

    def test_an_offer_loses_against_a_claim(self, ledger: Ledger) -> None:
        """The worker claimed first (R7)."""
        seen = offered(ledger)
        claim = claimed(ledger, seen)

        assert ledger.offer(seen, plan(SECOND)) is None
        assert ledger.renew([claim])

    def test_an_offer_loses_against_a_renewal(self, ledger: Ledger) -> None:
        """The worker is alive (R16)."""
        claim = started(ledger)
        seen = ledger.get(claim.job_id)
        ledger.renew([claim])

        assert ledger.offer(seen, plan(SECOND)) is None
        assert ledger.conclude(claim, SUCCESS) is JobState.SUCCEEDED

    def test_an_offer_loses_against_the_end_of_the_attempt(self, ledger: Ledger) -> None:
        """A finished job is not brought back to life (R15)."""
        claim = started(ledger)
        seen = ledger.get(claim.job_id)
        ledger.conclude(claim, SUCCESS)

        assert ledger.offer(seen, plan(SECOND)) is None
        assert ledger.get(claim.job_id).state is JobState.SUCCEEDED

    def test_an_offer_loses_against_a_cancel(self, ledger: Ledger) -> None:
        """The first commit wins (R20)."""
        seen = offered(ledger)
        ledger.cancel(seen.id, "ada")

        assert ledger.offer(seen, plan(SECOND)) is None

    def test_a_job_that_was_seen_ended_or_held_is_not_offered(self, ledger: Ledger) -> None:
        """There is no way from there, so the answer is the same."""
        held = started(ledger)
        ledger.conclude(held, Conclusion(HOLD, error=ERROR))
        over = [ended(ledger, state).job_id for state in JobState if state.is_terminal]

        offers = [ledger.offer(ledger.get(job_id), plan()) for job_id in (held.job_id, *over)]

        assert offers == [None, None, None, None]

    def test_an_offer_of_a_job_that_is_gone_changes_nothing(self, ledger: Ledger) -> None:
        """As after a ledger that lost it."""
        assert ledger.offer(_never_recorded(ledger), plan()) is None

    def test_a_job_that_no_engine_took_waits(self, ledger: Ledger) -> None:
        """Parked, with nothing charged."""
        job = offered(ledger)

        parked = ledger.park(job, LONG, "no engine took it")

        assert parked is not None
        assert parked == ledger.get(job.id)
        assert (parked.state, parked.epoch, parked.pickup_by) == (JobState.SCHEDULED, 1, None)
        assert parked.run_at is not None
        assert timedelta(0) <= parked.run_at - job.created_at - LONG < timedelta(seconds=5)
        assert (parked.claims, parked.errors, parked.crashes, parked.handoffs) == (0, 0, 0, 0)

    def test_the_message_of_a_parked_job_is_void(self, ledger: Ledger) -> None:
        """An offer that was uncertain arrives late, and is refused."""
        job = offered(ledger)
        ledger.park(job, LONG, "no engine took it")

        assert ledger.claim(ticket(job)) is None

    def test_a_parked_job_is_offered_with_a_newer_epoch(self, ledger: Ledger) -> None:
        """Epochs only grow (I2)."""
        job = offered(ledger)
        ledger.park(job, LONG, "no engine took it")

        assert reoffered(ledger, job.id).epoch == job.epoch + 1

    def test_parking_loses_against_a_claim(self, ledger: Ledger) -> None:
        """An engine took it, and a worker claimed it at once."""
        seen = offered(ledger)
        claim = claimed(ledger, seen)

        assert ledger.park(seen, LONG, "no engine took it") is None
        assert ledger.renew([claim])

    def test_a_crash_loop_ends_the_job(self, ledger: Ledger) -> None:
        """Failed, with the crash counted and the reason kept (rule 18)."""
        claim = started(ledger)

        job = ledger.exhaust(ledger.get(claim.job_id), ERROR)

        assert job is not None
        assert job == ledger.get(claim.job_id)
        assert (job.state, job.crashes, job.error) == (JobState.FAILED, 1, ERROR)
        assert job.finished_at is not None
        assert [each.outcome for each in ledger.attempts(job.id)] == ["exhaust"]
        assert not ledger.renew([claim])

    def test_giving_up_loses_against_a_renewal(self, ledger: Ledger) -> None:
        """The worker is alive (R16)."""
        claim = started(ledger)
        seen = ledger.get(claim.job_id)
        ledger.renew([claim])

        assert ledger.exhaust(seen, ERROR) is None
        assert ledger.get(claim.job_id).state is JobState.RUNNING

    def test_a_postponed_offer_stays_where_it_is(self, ledger: Ledger) -> None:
        """No new state, no new epoch, no event; it can be claimed as before."""
        job = offered(ledger)

        ledger.postpone(job, DAY)

        later = ledger.get(job.id)
        assert (later.state, later.epoch, later.revision) == (job.state, job.epoch, job.revision)
        assert later.pickups_missed == 1
        assert later.pickup_by is not None
        assert later.pickup_by > job.created_at + LONG
        assert len(ledger.events(job.id)) == 1
        assert ledger.claim(ticket(job)) is not None

    def test_postponing_loses_against_a_claim_and_against_a_newer_offer(
        self, ledger: Ledger
    ) -> None:
        """It touches the offer that was seen and no other."""
        running, moved = offered(ledger), offered(ledger)
        claimed(ledger, running)
        reoffered(ledger, moved.id)
        before = [ledger.get(running.id), ledger.get(moved.id)]

        for seen in (running, moved):
            ledger.postpone(seen, DAY)

        assert [ledger.get(running.id), ledger.get(moved.id)] == before

    def test_rescuers_that_see_one_deadline_pass_count_it_once(self, ledger: Ledger) -> None:
        """The patience with an offer doubles with each miss, not with each rescuer."""
        job = offered(ledger)

        for _ in range(3):
            ledger.postpone(job, DAY)

        assert ledger.get(job.id).pickups_missed == 1

    def test_a_look_that_found_no_engine_is_no_missed_pickup(self, ledger: Ledger) -> None:
        """The offer waits for the given span, and no later patience grows."""
        job = offered(ledger)

        ledger.postpone(job, DAY, missed=False)

        later = ledger.get(job.id)
        assert later.pickups_missed == 0
        assert later.pickup_by is not None
        assert later.pickup_by > job.created_at + LONG

    def test_a_due_job_that_is_postponed_is_not_due(self, ledger: Ledger) -> None:
        """No engine takes its offers now; others get their turn."""
        job, _ = ledger.record_job(new_job(delay=timedelta(0)), None)
        wait_in_vain = ledger.due(10)

        ledger.postpone(job, DAY)

        assert [each.id for each in wait_in_vain] == [job.id]
        assert not ledger.due(10)
        later = ledger.get(job.id)
        assert (later.state, later.epoch, later.revision) == (job.state, job.epoch, job.revision)

    def test_a_try_that_is_noted_twice_is_kept_once(self, ledger: Ledger) -> None:
        """The first note counts (F22)."""
        job = offered(ledger)

        for _ in range(2):
            ledger.note_tries([(job.id, ACCEPTED)])

        (kept,) = ledger.tries(job.id)
        assert (kept.outcome, kept.elapsed) == (TryOutcome.ACCEPTED, 0.125)

    def test_tries_of_other_offers_are_left_alone(self, ledger: Ledger) -> None:
        """Another epoch or engine is another try; so is another job's."""
        job, other = offered(ledger), offered(ledger)
        skipped = DispatchTry(SECOND, 1, "breaker", TryOutcome.SKIPPED, "timed out")
        again = replace(ACCEPTED, epoch=2, outcome=TryOutcome.REFUSED)
        noted = [ACCEPTED, skipped, again, replace(again, engine=SECOND)]

        ledger.note_tries([(other.id, ACCEPTED), *((job.id, each) for each in noted)])

        kept = [(each.engine, each.epoch, each.stage) for each in ledger.tries(job.id)]
        assert kept == [(each.engine, each.epoch, each.stage) for each in noted]
        assert len(ledger.tries(other.id)) == 1

    def test_noting_tries_touches_no_job(self, ledger: Ledger) -> None:
        """After the message is sent no state is written (rule 3)."""
        job = offered(ledger)

        ledger.note_tries([(job.id, ACCEPTED)])
        ledger.note_tries([])

        assert ledger.get(job.id) == job


def _never_recorded(ledger: Ledger) -> JobRecord:
    return replace(offered(ledger), id="missing")
