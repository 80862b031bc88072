# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises to jobs that invoke others, and to those that are invoked."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import CancelOutcome, Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import FAIL, SUCCEED, SUSPEND, JobState
from failsoft.job_engine.records.waits import WAKE, Wait, end_topic
from failsoft.testing.ledger_suite.fixtures import (
    ERROR,
    FAILURE,
    LONG,
    SUCCESS,
    claimed,
    expect_sound_history,
    new_job,
    offered,
    reoffered,
    started,
)
from failsoft.testing.ledger_suite.races import at_once

#: How often a race between a parent and its invoked job is repeated.
ROUNDS = 15
KEY = UniqueKey("the-key", UniqueScope.INCOMPLETE)


class InvokedJobPromises:
    """A suspension that records a job: its end wakes the parent, the parent's cancel ends it."""

    def test_a_job_is_woken_by_the_end_of_the_one_it_invoked(self, ledger: Ledger) -> None:
        """Which was recorded with its suspension, and says how it ended."""
        for ending, expected in (
            (Conclusion(SUCCEED, result="42"), ("succeeded", "42")),
            (Conclusion(FAIL, error=ERROR), ("failed", None)),
        ):
            claim, child = invoked(ledger)
            due_before = claim.job_id in _due(ledger)

            ledger.conclude(claimed(ledger, reoffered(ledger, child.id)), ending)

            answer = outcome_of(ledger, claim, child)
            assert not due_before
            assert (answer["state"], answer["result"]) == expected
            assert (answer["error"] is None) == (expected[0] == "succeeded")

    def test_the_wake_up_is_an_event_that_says_what_woke_it(self, ledger: Ledger) -> None:
        """Everything is (rule 22)."""
        claim, child = invoked(ledger)

        ledger.conclude(claimed(ledger, reoffered(ledger, child.id)), SUCCESS)

        woken = ledger.events(claim.job_id)[-1]
        assert (woken.kind, woken.state) == (WAKE, JobState.SCHEDULED)
        assert woken.detail == {"job": child.id, "state": "succeeded"}
        expect_sound_history(ledger, claim.job_id)

    def test_an_invoked_job_is_recorded_once(self, ledger: Ledger) -> None:
        """However often its parent suspends itself."""
        claim, child = invoked(ledger)
        again = claimed(ledger, reoffered(ledger, claim.job_id))

        _suspend(ledger, again, child)

        assert len(ledger.events(child.id)) == 1
        assert ledger.get(child.id).parent_id == claim.job_id

    def test_a_job_that_ends_while_its_parent_falls_asleep_wakes_it(self, ledger: Ledger) -> None:
        """Whichever commits first, the other one sees it."""
        for _ in range(ROUNDS):
            parent, child = invoked(ledger)
            again = claimed(ledger, reoffered(ledger, parent.job_id))
            running = claimed(ledger, reoffered(ledger, child.id))
            works: list[Callable[[], object]] = [
                partial(_suspend, ledger, again, child),
                partial(ledger.conclude, running, SUCCESS),
            ]
            at_once(works)

            assert parent.job_id in _due(ledger)
            expect_sound_history(ledger, parent.job_id)

    def test_cancelling_an_invoked_job_wakes_its_parent(self, ledger: Ledger) -> None:
        """Every end does."""
        claim, child = invoked(ledger)

        ledger.cancel(child.id, "ada")

        assert claim.job_id in _due(ledger)

    def test_an_invoked_job_is_one_deeper_than_its_parent(self, ledger: Ledger) -> None:
        """So that a circle of jobs comes to an end."""
        claim, child = invoked(ledger)

        assert claimed(ledger, reoffered(ledger, child.id)).depth == claim.depth + 1

    def test_a_retry_is_as_deep_as_the_job_it_does_again(self, ledger: Ledger) -> None:
        """Or a circle could go on in the retries of its jobs."""
        _, child = invoked(ledger)
        ledger.conclude(claimed(ledger, reoffered(ledger, child.id)), FAILURE)

        again, _ = ledger.retry(ManualRetry(child.id, "ada"))

        assert claimed(ledger, reoffered(ledger, again.id)).depth == 1

    def test_an_invoked_job_holds_its_unique_key(self, ledger: Ledger) -> None:
        """As if it had been dispatched."""
        _, child = invoked(ledger, unique=KEY)

        found, created = ledger.record_job(new_job(unique=KEY), None)

        assert (found.id, created) == (child.id, False)

    def test_a_job_whose_key_is_held_is_not_invoked(self, ledger: Ledger) -> None:
        """The step has met that, in this and in every later attempt; and its job goes on."""
        holder = offered(ledger, unique=KEY)
        claim, child = invoked(ledger, unique=KEY)

        found = ledger.record_job(new_job(unique=KEY), None)

        (step,) = ledger.steps(claim.job_id)
        assert found == (ledger.get(holder.id), False)
        assert (step.kind, json.loads(step.result)) == (
            StepKind.ANSWERED,
            {"job": child.id, "taken_by": holder.id},
        )
        assert claim.job_id in _due(ledger)
        assert ledger.events(claim.job_id)[-1].detail["taken_by"] == holder.id
        expect_sound_history(ledger, claim.job_id)

    def test_a_cancelled_job_cancels_the_one_it_awaits(self, ledger: Ledger) -> None:
        """And that one those below it, whose history says why."""
        claim, child = invoked(ledger)
        below = _suspend(ledger, claimed(ledger, reoffered(ledger, child.id)))

        outcome = ledger.cancel(claim.job_id, "ada")

        assert outcome is CancelOutcome.CANCELLED
        for job_id, parent in ((child.id, claim.job_id), (below.id, child.id)):
            end = ledger.events(job_id)[-1]
            assert (end.kind, end.state) == ("cancel", JobState.CANCELLED)
            assert parent in end.detail["reason"]
            expect_sound_history(ledger, job_id)

    def test_an_invoked_job_that_runs_gets_a_cancel_request(self, ledger: Ledger) -> None:
        """As after any cancel of a job that runs (R20)."""
        claim, child = invoked(ledger)
        claimed(ledger, reoffered(ledger, child.id))

        ledger.cancel(claim.job_id, "ada")

        job = ledger.get(child.id)
        assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
        assert ledger.events(child.id)[-1].kind == "cancel_request"
        expect_sound_history(ledger, child.id)

    def test_an_attempt_that_stops_cancels_the_job_that_it_awaits(self, ledger: Ledger) -> None:
        """It was woken by another event, and got a cancel request before it was suspended again."""
        claim, child = invoked(ledger)
        again = claimed(ledger, reoffered(ledger, claim.job_id))
        ledger.cancel(claim.job_id, "ada")

        state = ledger.conclude(again, Conclusion(SUSPEND, delay=LONG))

        assert (state, ledger.get(child.id).state) == (JobState.CANCELLED, JobState.CANCELLED)

    def test_what_has_ended_is_left_alone(self, ledger: Ledger) -> None:
        """An invoked job that succeeded stays so (I4)."""
        claim, child = invoked(ledger)
        ledger.conclude(claimed(ledger, reoffered(ledger, child.id)), SUCCESS)

        ledger.cancel(claim.job_id, "ada")

        assert ledger.get(child.id).state is JobState.SUCCEEDED

    def test_a_cancel_and_the_end_of_the_awaited_job_do_not_block_each_other(
        self, ledger: Ledger
    ) -> None:
        """Neither waits for the other for ever, and a job that had finished has succeeded."""
        for _ in range(ROUNDS):
            parent, child = invoked(ledger)
            running = claimed(ledger, reoffered(ledger, child.id))
            works: list[Callable[[], object]] = [
                partial(ledger.cancel, parent.job_id, "ada"),
                partial(ledger.conclude, running, SUCCESS),
            ]
            at_once(works)

            assert ledger.get(parent.job_id).state is JobState.CANCELLED
            assert ledger.get(child.id).state is JobState.SUCCEEDED
            expect_sound_history(ledger, parent.job_id)
            expect_sound_history(ledger, child.id)


def invoked(ledger: Ledger, **changes: Any) -> tuple[Claim, NewJob]:
    """Suspend a job that invokes another; return its claim, and the invoked job."""
    claim = started(ledger)
    return claim, _suspend(ledger, claim, new_job(delay=timedelta(0), **changes))


def _suspend(ledger: Ledger, claim: Claim, child: NewJob | None = None) -> NewJob:
    child = child or new_job(delay=timedelta(0))
    wait, step = Wait(end_topic(child.id), None, child.id), _step(child)
    conclusion = Conclusion(SUSPEND, delay=LONG, step=step, wait=wait, child=child)
    assert ledger.conclude(claim, conclusion) is JobState.SCHEDULED
    return child


def outcome_of(ledger: Ledger, claim: Claim, child: NewJob) -> dict[str, Any]:
    """Return what a woken job receives about the end of the job that it invoked."""
    again = claimed(ledger, reoffered(ledger, claim.job_id))
    met = ledger.receive(again, _step(child), Wait(end_topic(child.id), None, child.id))
    assert met is not None
    answer: dict[str, Any] = json.loads(met.result)
    return answer


def _step(child: NewJob) -> StepRecord:
    return StepRecord("wait", 0, StepKind.WAIT, json.dumps({"job": child.id}))


def _due(ledger: Ledger) -> set[str]:
    return {job.id for job in ledger.due(1000)}
