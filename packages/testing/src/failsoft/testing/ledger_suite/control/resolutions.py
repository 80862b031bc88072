# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when a person resolves a held job."""

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, ACCEPT, HOLD, RESUME, JobState
from failsoft.testing.ledger_suite.fixtures import (
    ENDINGS,
    ERROR,
    claimed,
    expect_sound_history,
    reoffered,
    started,
    step,
)

DOUBT = StepRecord("pay", 1, StepKind.INTENT, "null")
GO_ON = Resolution(RESUME, "ada", "the bank has no record")
PAID = Resolution(RESUME, "ada", "the bank has it", done={"pay": '"paid"'})
WORTH = Resolution(ACCEPT, "ada", "done by hand", result='"by hand"')
GIVE_UP = Resolution(ABANDON, "ada", "not worth it")


class ResolutionPromises:
    """`resolve`: only a held job, only as it was seen, and kept in its history (rule 10)."""

    def test_a_held_job_goes_on_at_once(self, ledger: Ledger) -> None:
        """It is due, and resumes after its last finished step."""
        claim = held(ledger)

        job = ledger.resolve(ledger.get(claim.job_id), GO_ON)

        assert job is not None
        assert (job.state, job.epoch) == (JobState.SCHEDULED, claim.epoch)
        assert [due.id for due in ledger.due(10)] == [claim.job_id]
        assert [s.name for s in ledger.steps(claim.job_id)] == ["fetch"]
        expect_sound_history(ledger, claim.job_id)

    def test_a_step_in_doubt_may_begin_again_because_a_person_said_so(self, ledger: Ledger) -> None:
        """The event names it (I6)."""
        claim = held(ledger)
        ledger.resolve(ledger.get(claim.job_id), GO_ON)

        second = claimed(ledger, reoffered(ledger, claim.job_id))

        assert list(ledger.begin(second, "pay", 1)) == []
        event = ledger.events(claim.job_id)[3]
        assert (event.kind, event.actor) == ("resume", "ada")
        assert event.detail == {"reason": "the bank has no record", "again": ["pay"]}

    def test_a_step_that_is_done_never_begins_again(self, ledger: Ledger) -> None:
        """Its result is the person's, under an epoch that no attempt has."""
        claim = held(ledger)
        ledger.resolve(ledger.get(claim.job_id), PAID)

        second = claimed(ledger, reoffered(ledger, claim.job_id))

        (found,) = ledger.begin(second, "pay", 1)
        assert (found.kind, found.result, found.epoch) == (StepKind.ONCE, '"paid"', 0)
        detail = {"reason": "the bank has it", "done": ["pay"]}
        assert ledger.events(claim.job_id)[3].detail == detail
        ledger.conclude(second, ENDINGS[JobState.SUCCEEDED])
        expect_sound_history(ledger, claim.job_id)

    def test_a_held_job_succeeds_with_the_result_that_a_person_gives(self, ledger: Ledger) -> None:
        """What it was in doubt about stays recorded."""
        claim = held(ledger)

        job = ledger.resolve(ledger.get(claim.job_id), WORTH)

        assert job is not None
        assert (job.state, job.result) == (JobState.SUCCEEDED, '"by hand"')
        assert job.finished_at is not None
        assert [s.kind for s in ledger.steps(claim.job_id)] == [StepKind.RUN, StepKind.INTENT]
        expect_sound_history(ledger, claim.job_id)

    def test_a_held_job_fails_with_the_error_it_was_held_for(self, ledger: Ledger) -> None:
        """The dead letter says what happened."""
        claim = held(ledger)

        job = ledger.resolve(ledger.get(claim.job_id), GIVE_UP)

        assert job is not None
        assert (job.state, job.error, job.result) == (JobState.FAILED, ERROR, None)
        expect_sound_history(ledger, claim.job_id)

    def test_only_the_job_as_it_was_seen_is_resolved(self, ledger: Ledger) -> None:
        """Of two decisions at once, one is taken (rule 4)."""
        for first, second in ((GO_ON, WORTH), (WORTH, GIVE_UP), (GIVE_UP, GO_ON)):
            claim = held(ledger)
            seen = ledger.get(claim.job_id)
            decided = ledger.resolve(seen, first)

            assert ledger.resolve(seen, second) is None
            assert ledger.get(claim.job_id) == decided

    def test_a_job_that_is_held_again_is_another_matter(self, ledger: Ledger) -> None:
        """A decision about the first doubt says nothing about the next."""
        claim = held(ledger)
        seen = ledger.get(claim.job_id)
        ledger.resolve(seen, GO_ON)
        second = claimed(ledger, reoffered(ledger, claim.job_id))
        ledger.conclude(second, Conclusion(HOLD, error=ERROR))

        assert ledger.resolve(seen, PAID) is None
        assert ledger.get(claim.job_id).state is JobState.HELD

    def test_nothing_but_a_held_job_is_resolved(self, ledger: Ledger) -> None:
        """Terminal states are absorbing, and whatever runs is left alone (I4)."""
        claim = started(ledger)
        running = ledger.get(claim.job_id)
        assert ledger.resolve(running, WORTH) is None

        for state, conclusion in ENDINGS.items():
            claim = started(ledger)
            ledger.conclude(claim, conclusion)
            over = ledger.get(claim.job_id)
            assert [ledger.resolve(over, each) for each in (GO_ON, WORTH, GIVE_UP)] == [None] * 3
            assert ledger.get(claim.job_id) == over
            assert over.state is state


def held(ledger: Ledger) -> Claim:
    """Bring a job to be held for a step in doubt, after one that is finished."""
    claim = started(ledger)
    ledger.record(claim, step("fetch", 0))
    ledger.record(claim, DOUBT)
    ledger.conclude(claim, Conclusion(HOLD, error=ERROR, reason="step 'pay' is in doubt"))
    return claim
