# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about cancels."""

from failsoft.job_engine.attempt.interrupts import CancelRequested
from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import CancelOutcome, Conclusion
from failsoft.job_engine.records.states import HOLD, STOP, SUCCEED, JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ERROR,
    SUCCESS,
    ended,
    expect_sound_history,
    offered,
    raises,
    reoffered,
    started,
    taken_over,
    waiting,
)


class CancelPromises:
    """`cancel`: at once where nothing runs, at the next step where something does (R20, I9)."""

    def test_a_job_that_waits_is_cancelled_at_once(self, ledger: Ledger) -> None:
        """Its time never comes."""
        job = waiting(ledger)

        answer = ledger.cancel(job.id, "ada")

        cancelled = ledger.get(job.id)
        assert (answer, cancelled.state) == (CancelOutcome.CANCELLED, JobState.CANCELLED)
        assert cancelled.run_at is None
        assert cancelled.finished_at is not None

    def test_an_offered_job_is_cancelled_at_once(self, ledger: Ledger) -> None:
        """The message on its way is void."""
        job = offered(ledger)

        answer = ledger.cancel(job.id, "ada")

        cancelled = ledger.get(job.id)
        assert (answer, cancelled.state) == (CancelOutcome.CANCELLED, JobState.CANCELLED)
        assert cancelled.pickup_by is None

    def test_a_held_job_is_cancelled_at_once(self, ledger: Ledger) -> None:
        """A person decided."""
        claim = started(ledger)
        ledger.conclude(claim, Conclusion(HOLD, error=ERROR))

        answer = ledger.cancel(claim.job_id, "ada")

        assert answer is CancelOutcome.CANCELLED
        assert ledger.get(claim.job_id).state is JobState.CANCELLED

    def test_a_running_job_gets_a_cancel_request(self, ledger: Ledger) -> None:
        """The answer says which of the two it was."""
        claim = started(ledger)

        answer = ledger.cancel(claim.job_id, "ada")

        job = ledger.get(claim.job_id)
        assert answer is CancelOutcome.REQUESTED
        assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)

    def test_a_request_takes_no_authority_away(self, ledger: Ledger) -> None:
        """The attempt still renews, until it notices."""
        claim = started(ledger)
        before = ledger.get(claim.job_id).revision

        ledger.cancel(claim.job_id, "ada")

        assert ledger.get(claim.job_id).revision == before
        assert ledger.renew([claim])

    def test_an_ended_job_stays_as_it_ended(self, ledger: Ledger) -> None:
        """Too late, and the answer says so."""
        for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            claim = ended(ledger, state)

            answer = ledger.cancel(claim.job_id, "ada")

            assert (answer, ledger.get(claim.job_id).state) == (CancelOutcome.ENDED, state)

    def test_a_job_that_is_not_there_cannot_be_cancelled(self, ledger: Ledger) -> None:
        """An error says that it is not there."""
        assert raises(JobNotFoundError, lambda: ledger.cancel("missing", "ada"))

    def test_a_request_turns_every_end_but_success_into_cancelled(self, ledger: Ledger) -> None:
        """No retry, no sleep, no hold after it (I9)."""
        for conclusion in CONCLUSIONS:
            if conclusion.transition is not SUCCEED:
                claim = started(ledger)
                ledger.cancel(claim.job_id, "ada")

                state = ledger.conclude(claim, conclusion)

                assert (state, ledger.get(claim.job_id).state) == (JobState.CANCELLED, state)
                assert list(ledger.steps(claim.job_id)) == []

    def test_a_job_that_finished_first_has_succeeded(self, ledger: Ledger) -> None:
        """What is done is done; its result is not thrown away."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")

        state = ledger.conclude(claim, SUCCESS)

        assert state is JobState.SUCCEEDED
        assert ledger.get(claim.job_id).result == SUCCESS.result

    def test_the_attempt_honours_the_request(self, ledger: Ledger) -> None:
        """And may say so twice, if the reply is lost (R12)."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")

        states = [ledger.conclude(claim, Conclusion(STOP)) for _ in range(2)]

        assert states == [JobState.CANCELLED, JobState.CANCELLED]
        assert ledger.attempts(claim.job_id)[0].outcome == "stop"

    def test_a_turned_conclusion_may_be_repeated(self, ledger: Ledger) -> None:
        """A failure that became a cancellation is one again (R12)."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")
        ledger.conclude(claim, CONCLUSIONS[2])

        assert ledger.conclude(claim, CONCLUSIONS[2]) is JobState.CANCELLED

    def test_a_request_outlives_the_attempt_it_was_made_to(self, ledger: Ledger) -> None:
        """Its worker died; the next attempt begins no step (I9)."""
        first = started(ledger)
        ledger.cancel(first.job_id, "ada")

        second = taken_over(ledger, first)

        assert raises(CancelRequested, lambda: ledger.begin(second, "fetch", 0))

    def test_a_recovered_job_with_a_request_can_be_cancelled_at_once(self, ledger: Ledger) -> None:
        """Nothing runs any more."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")
        reoffered(ledger, claim.job_id)

        assert ledger.cancel(claim.job_id, "ada") is CancelOutcome.CANCELLED

    def test_a_cancel_is_an_event_of_the_history(self, ledger: Ledger) -> None:
        """With the actor's name."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")
        ledger.conclude(claim, Conclusion(STOP))

        requested, stopped = ledger.events(claim.job_id)[-2:]

        assert (requested.kind, requested.actor) == ("cancel_request", "ada")
        assert (stopped.kind, stopped.state) == ("stop", JobState.CANCELLED)
        expect_sound_history(ledger, claim.job_id)

    def test_cancelling_twice_is_harmless(self, ledger: Ledger) -> None:
        """The second answer says how the first went."""
        job = offered(ledger)
        ledger.cancel(job.id, "ada")
        before = ledger.get(job.id)

        assert ledger.cancel(job.id, "ada") is CancelOutcome.ENDED
        assert ledger.get(job.id) == before

    def test_a_request_that_is_repeated_is_one_event(self, ledger: Ledger) -> None:
        """The first reply may have been lost (F22)."""
        claim = started(ledger)
        ledger.cancel(claim.job_id, "ada")
        before = ledger.get(claim.job_id), ledger.events(claim.job_id)

        assert ledger.cancel(claim.job_id, "ada") is CancelOutcome.REQUESTED
        assert (ledger.get(claim.job_id), ledger.events(claim.job_id)) == before
