# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when an attempt ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion, JobRecord, StepKind
from failsoft.job_engine.records.states import RETRY, Budget, JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ERROR,
    FAILURE,
    LONG,
    SUCCESS,
    claimed,
    is_fenced,
    reoffered,
    started,
    step,
    taken_over,
)

RETRYING, SUSPENDING = CONCLUSIONS[1], CONCLUSIONS[5]
OTHER_ERROR = ErrorRecord("TypeError", "another one", "Traceback ...\nTypeError: another one")


class ConclusionPromises:
    """`conclude`: fenced, once, harmless to repeat (rule 7, R12, I3, I4)."""

    def test_every_conclusion_leads_where_the_table_says(self, ledger: Ledger) -> None:
        """The state comes back as it is in the ledger."""
        for conclusion in CONCLUSIONS:
            claim = started(ledger)

            state = ledger.conclude(claim, conclusion)

            assert state is conclusion.transition.target
            assert ledger.get(claim.job_id).state is state

    def test_every_conclusion_charges_its_own_budget(self, ledger: Ledger) -> None:
        """Errors, crashes and releases are counted apart (rule 18)."""
        for conclusion in CONCLUSIONS:
            claim = started(ledger)
            before = _spent(ledger.get(claim.job_id))

            ledger.conclude(claim, conclusion)

            charged = conclusion.transition.charges
            expected = {b: count + (b is charged) for b, count in before.items()}
            assert _spent(ledger.get(claim.job_id)) == expected

    def test_every_conclusion_ends_the_attempt(self, ledger: Ledger) -> None:
        """What it was authority for is over."""
        for conclusion in CONCLUSIONS:
            claim = started(ledger)

            ledger.conclude(claim, conclusion)

            (attempt,) = ledger.attempts(claim.job_id)
            assert attempt.outcome == conclusion.transition.name
            assert attempt.ended_at is not None
            assert ledger.get(claim.job_id).lease_until is None
            assert is_fenced(partial(ledger.begin, claim, "fetch", 0))
            assert not ledger.renew([claim])

    def test_every_conclusion_may_be_repeated(self, ledger: Ledger) -> None:
        """Its reply may have been lost (R12)."""
        for conclusion in CONCLUSIONS:
            claim = started(ledger)
            state = ledger.conclude(claim, conclusion)
            before, events = ledger.get(claim.job_id), len(ledger.events(claim.job_id))

            again = ledger.conclude(claim, conclusion)

            assert again is state
            assert ledger.get(claim.job_id) == before
            assert len(ledger.events(claim.job_id)) == events

    def test_a_conclusion_that_is_repeated_late_changes_nothing(self, ledger: Ledger) -> None:
        """The next attempt runs already."""
        first = started(ledger)
        ledger.conclude(first, RETRYING)
        claimed(ledger, reoffered(ledger, first.job_id))
        before = ledger.get(first.job_id)

        again = ledger.conclude(first, RETRYING)

        assert again is JobState.SCHEDULED
        assert ledger.get(first.job_id) == before

    def test_a_success_keeps_its_result(self, ledger: Ledger) -> None:
        """And the moment of its end."""
        claim = started(ledger)

        ledger.conclude(claim, SUCCESS)

        job = ledger.get(claim.job_id)
        assert (job.result, job.error) == (SUCCESS.result, None)
        assert job.finished_at is not None
        assert job.started_at is not None
        assert job.finished_at >= job.started_at

    def test_a_failure_keeps_its_error(self, ledger: Ledger) -> None:
        """Type, message and traceback, as text."""
        claim = started(ledger)

        ledger.conclude(claim, FAILURE)

        job = ledger.get(claim.job_id)
        assert (job.result, job.error) == (None, ERROR)
        assert job.finished_at is not None

    def test_the_error_of_every_attempt_is_kept(self, ledger: Ledger) -> None:
        """Not only the newest one: the attempt that ended with it keeps it, and it stays there."""
        first = started(ledger)
        ledger.conclude(first, RETRYING)
        second = claimed(ledger, reoffered(ledger, first.job_id))
        ledger.conclude(second, replace(RETRYING, error=OTHER_ERROR))
        third = claimed(ledger, reoffered(ledger, first.job_id))
        ledger.conclude(third, SUCCESS)

        errors = [attempt.error for attempt in ledger.attempts(first.job_id)]

        assert errors == [ERROR, OTHER_ERROR, None]
        assert ledger.get(first.job_id).error == OTHER_ERROR

    def test_every_conclusion_keeps_its_error_with_its_attempt(self, ledger: Ledger) -> None:
        """Those without an error keep none."""
        for conclusion in CONCLUSIONS:
            claim = started(ledger)

            ledger.conclude(claim, conclusion)

            (attempt,) = ledger.attempts(claim.job_id)
            assert attempt.error == conclusion.error

    def test_an_attempt_keeps_its_error_although_its_job_was_cancelled(
        self, ledger: Ledger
    ) -> None:
        """A pending cancel request ends the job; the error of the attempt is still recorded."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")

        assert ledger.conclude(claim, RETRYING) is JobState.CANCELLED

        (attempt,) = ledger.attempts(claim.job_id)
        assert (attempt.outcome, attempt.error) == ("stop", ERROR)

    def test_an_attempt_that_was_lost_once_too_often_keeps_why(self, ledger: Ledger) -> None:
        """One that is handed over ended without an error of its own."""
        first = started(ledger)
        second = taken_over(ledger, first)
        ledger.exhaust(ledger.get(second.job_id), OTHER_ERROR)

        errors = [attempt.error for attempt in ledger.attempts(first.job_id)]

        assert errors == [None, OTHER_ERROR]

    def test_a_retry_waits_its_delay(self, ledger: Ledger) -> None:
        """From now, on the ledger's clock, with the error for people to see."""
        claim = started(ledger)

        ledger.conclude(claim, RETRYING)

        job = ledger.get(claim.job_id)
        assert job.run_at is not None
        assert job.started_at is not None
        assert timedelta(0) <= job.run_at - job.started_at - LONG < timedelta(seconds=5)
        assert job.error == ERROR
        assert job.finished_at is None

    def test_a_moment_to_run_at_wins_over_a_delay(self, ledger: Ledger) -> None:
        """As for a sleep until a date."""
        claim = started(ledger)
        moment = datetime(2031, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)

        ledger.conclude(claim, Conclusion(RETRY, error=ERROR, delay=LONG, run_at=moment))

        assert ledger.get(claim.job_id).run_at == moment

    def test_a_sleep_is_recorded_with_the_suspension(self, ledger: Ledger) -> None:
        """In one transaction: the job never sleeps twice for one sleep."""
        claim = started(ledger)

        ledger.conclude(claim, SUSPENDING)

        (nap,) = ledger.steps(claim.job_id)
        assert (nap.name, nap.kind, nap.epoch) == ("nap", StepKind.SLEEP, claim.epoch)

    def test_a_suspended_job_finds_its_sleep_when_it_wakes(self, ledger: Ledger) -> None:
        """So that it goes on behind it."""
        first = started(ledger)
        ledger.conclude(first, SUSPENDING)

        second = claimed(ledger, reoffered(ledger, first.job_id))

        assert [each.name for each in ledger.begin(second, "nap", 0)] == ["nap"]

    def test_a_fenced_attempt_concludes_nothing(self, ledger: Ledger) -> None:
        """No result, no failure, no retry, no sleep (I3)."""
        for conclusion in CONCLUSIONS:
            old = started(ledger)
            taken_over(ledger, old)
            before = ledger.get(old.job_id)

            fenced = is_fenced(partial(ledger.conclude, old, conclusion))

            assert fenced
            assert ledger.get(old.job_id) == before
            assert list(ledger.steps(old.job_id)) == []

    def test_an_attempt_is_fenced_while_the_job_is_merely_offered_again(
        self, ledger: Ledger
    ) -> None:
        """Authority ends with the hand-over, not with the next claim."""
        old = started(ledger)
        moved = reoffered(ledger, old.job_id)

        assert is_fenced(lambda: ledger.conclude(old, SUCCESS))
        assert is_fenced(lambda: ledger.record(old, step()))
        assert ledger.get(old.job_id) == moved

    def test_the_next_attempt_may_conclude_what_the_fenced_one_could_not(
        self, ledger: Ledger
    ) -> None:
        """One outcome, from the attempt that has the authority (I4)."""
        old = started(ledger)
        new = taken_over(ledger, old)
        is_fenced(lambda: ledger.conclude(old, FAILURE))

        assert ledger.conclude(new, SUCCESS) is JobState.SUCCEEDED

    def test_the_end_of_another_claim_is_not_taken_for_ones_own(self, ledger: Ledger) -> None:
        """A ledger that was restored may give out an epoch twice (R19)."""
        claim = started(ledger)
        ledger.conclude(claim, SUCCESS)

        assert is_fenced(lambda: ledger.conclude(replace(claim, claim_id="0" * 32), SUCCESS))

    def test_the_reason_is_kept_in_the_history(self, ledger: Ledger) -> None:
        """Beside the worker that gave it."""
        claim = started(ledger, worker="worker-9")

        ledger.conclude(claim, RETRYING)

        event = ledger.events(claim.job_id)[-1]
        assert (event.kind, event.actor) == ("retry", "worker-9")
        assert event.detail == {"reason": "ValueError", "delay": LONG.total_seconds()}


def _spent(job: JobRecord) -> dict[Budget, int]:
    return {budget: int(getattr(job, budget)) for budget in Budget}
