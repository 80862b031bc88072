# ruff: noqa: S101 - a conformance suite asserts
"""The traces of jobs and attempts: kept with their rows, and inherited."""

import json

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.traces import AttemptTrace
from failsoft.job_engine.records.follow_ups import FollowUps, OnFailureJob, failure_id
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.trace_context import BACK, PARENT
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    FAILURE,
    claimed,
    ended,
    new_job,
    offered,
    plan,
    reoffered,
    started,
    taken_over,
    waiting,
)

_ID = f"00-{'a' * 32}-{'b' * 16}-01"
TRACE = json.dumps({PARENT: _ID})


class TracePromises:
    """What `TraceLedger` promises, and the ledger of the traces of jobs."""

    def test_a_job_has_the_trace_that_it_was_dispatched_with(self, ledger: Ledger) -> None:
        """Offered at once or not, one or many at once; its claim has it, too."""
        job = offered(ledger, trace_context=TRACE)
        later = waiting(ledger, trace_context=TRACE)
        many = ledger.record_jobs([(new_job(trace_context=TRACE), plan()), (new_job(), None)])

        assert job.trace_context == ledger.get(job.id).trace_context == TRACE
        assert ledger.get(later.id).trace_context == TRACE
        kept = [ledger.get(each.id).trace_context for each, _ in many]
        assert kept == [each.trace_context for each, _ in many] == [TRACE, None]
        assert claimed(ledger, job).trace_context == TRACE
        assert claimed(ledger, reoffered(ledger, later.id)).trace_context == TRACE
        assert started(ledger).trace_context is None

    def test_the_trace_of_an_attempt_is_left_for_the_next_one(self, ledger: Ledger) -> None:
        """With how that attempt ended; a ledger gives it to nobody else."""
        other = started(ledger)
        first = started(ledger)
        assert ledger.note_trace(first, TRACE) is None
        assert ledger.note_trace(first, TRACE) is None
        lost = taken_over(ledger, first)

        assert ledger.note_trace(lost, "second") == AttemptTrace(TRACE, "recover")
        ledger.conclude(lost, CONCLUSIONS[1])
        third = claimed(ledger, reoffered(ledger, lost.job_id))
        assert ledger.note_trace(third, "third") == AttemptTrace("second", "retry")
        kept = [each.trace_context for each in ledger.attempts(third.job_id)]
        assert kept == [TRACE, "second", "third"]
        assert [each.trace_context for each in ledger.attempts(other.job_id)] == [None]

    def test_an_attempt_after_one_without_a_trace_has_none_before_it(self, ledger: Ledger) -> None:
        """As code of the revision before leaves none."""
        first = started(ledger)
        second = taken_over(ledger, first)

        assert ledger.note_trace(second, TRACE) is None

    def test_a_late_attempt_changes_no_trace_but_its_own(self, ledger: Ledger) -> None:
        """Its claim names its row."""
        late = started(ledger)
        second = taken_over(ledger, late)
        ledger.note_trace(second, "second")
        ledger.note_trace(late, "late")

        kept = [each.trace_context for each in ledger.attempts(second.job_id)]
        assert kept == ["late", "second"]

    def test_work_done_again_links_back_to_the_trace_of_the_job_that_ended(
        self, ledger: Ledger
    ) -> None:
        """And so does the work of that done again."""
        claim = claimed(ledger, offered(ledger, trace_context=TRACE))
        assert ledger.conclude(claim, FAILURE) is JobState.FAILED
        again, _ = ledger.retry(ManualRetry(claim.job_id, "ada"))

        assert json.loads(again.trace_context or "") == {BACK: _ID}
        second = claimed(ledger, reoffered(ledger, again.id))
        assert ledger.conclude(second, FAILURE) is JobState.FAILED
        thrice, _ = ledger.retry(ManualRetry(again.id, "ada"))
        assert thrice.trace_context == again.trace_context
        untraced = ended(ledger, JobState.FAILED)
        assert ledger.retry(ManualRetry(untraced.job_id, "ada"))[0].trace_context is None

    def test_the_job_that_a_failure_sets_off_belongs_to_the_trace_of_the_failed_one(
        self, ledger: Ledger
    ) -> None:
        """It is recorded with that one's end."""
        hook = FollowUps(on_failure=OnFailureJob(name="report", queue="default")).text
        job = offered(ledger, trace_context=TRACE, follow_ups=hook)
        ledger.conclude(claimed(ledger, job), FAILURE)

        assert ledger.get(failure_id(job.id)).trace_context == TRACE
