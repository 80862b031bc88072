# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when a step begins and when it is done."""

from dataclasses import replace
from datetime import UTC, datetime

from failsoft.job_engine.attempt.interrupts import CancelRequested
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Progress, StepKind
from failsoft.testing.ledger_suite.fixtures import (
    SUCCESS,
    is_fenced,
    raises,
    started,
    step,
    taken_over,
)


class StepPromises:
    """`begin` and `record`: authority first, insert-only, first write wins (rules 7, 8, 9)."""

    def test_a_step_that_was_never_run_has_no_record(self, ledger: Ledger) -> None:
        """The attempt goes on and runs it."""
        claim = started(ledger)

        assert list(ledger.begin(claim, "fetch", 0)) == []

    def test_a_recorded_step_is_found_by_name_and_place(self, ledger: Ledger) -> None:
        """With everything that was recorded, and where."""
        claim = started(ledger)
        ledger.record(claim, step("fetch", 0, '{"a": [1, null, "ž"]}'))

        (found,) = ledger.begin(claim, "fetch", 0)

        assert (found.name, found.seq, found.kind) == ("fetch", 0, StepKind.RUN)
        assert (found.result, found.epoch) == ('{"a": [1, null, "ž"]}', claim.epoch)
        assert found.recorded_at is not None

    def test_a_step_is_found_by_its_name_at_another_place(self, ledger: Ledger) -> None:
        """So that a job whose steps changed places is noticed."""
        claim = started(ledger)
        ledger.record(claim, step("fetch", 0))

        assert [each.name for each in ledger.begin(claim, "fetch", 3)] == ["fetch"]

    def test_a_step_is_found_by_its_place_under_another_name(self, ledger: Ledger) -> None:
        """So that a step that was renamed is noticed."""
        claim = started(ledger)
        ledger.record(claim, step("fetch", 0))

        assert [each.name for each in ledger.begin(claim, "get", 0)] == ["fetch"]

    def test_the_step_of_that_name_and_the_one_at_that_place_are_both_found(
        self, ledger: Ledger
    ) -> None:
        """Two steps that changed places are two records."""
        claim = started(ledger)
        ledger.record(claim, step("fetch", 0))
        ledger.record(claim, step("send", 1))

        found = ledger.begin(claim, "send", 0)

        assert sorted(each.name for each in found) == ["fetch", "send"]

    def test_other_steps_are_not_found(self, ledger: Ledger) -> None:
        """Neither of this job nor of another."""
        other = started(ledger)
        ledger.record(other, step("fetch", 0))
        claim = started(ledger)
        ledger.record(claim, step("first", 0))

        assert list(ledger.begin(claim, "fetch", 1)) == []

    def test_recording_again_is_harmless(self, ledger: Ledger) -> None:
        """The reply may have been lost (R12)."""
        claim = started(ledger)
        ledger.record(claim, step())

        ledger.record(claim, step())

        assert len(ledger.steps(claim.job_id)) == 1

    def test_the_first_result_stays(self, ledger: Ledger) -> None:
        """A finished step is finished (I5)."""
        claim = started(ledger)
        ledger.record(claim, step(result='"first"'))

        ledger.record(claim, step(result='"second"'))

        assert [each.result for each in ledger.steps(claim.job_id)] == ['"first"']

    def test_a_name_and_a_place_are_given_once(self, ledger: Ledger) -> None:
        """Also to different steps."""
        claim = started(ledger)
        ledger.record(claim, step("fetch", 0))

        ledger.record(claim, step("fetch", 1))
        ledger.record(claim, step("send", 0))

        assert [(each.name, each.seq) for each in ledger.steps(claim.job_id)] == [("fetch", 0)]

    def test_steps_are_read_in_their_order(self, ledger: Ledger) -> None:
        """By place, not by the time they were recorded."""
        claim = started(ledger)
        for name, seq in (("b", 1), ("c", 2), ("a", 0)):
            ledger.record(claim, step(name, seq))

        assert [each.name for each in ledger.steps(claim.job_id)] == ["a", "b", "c"]

    def test_the_next_attempt_finds_the_steps_of_the_last(self, ledger: Ledger) -> None:
        """The job resumes on the other engine after its last finished step (I5)."""
        first = started(ledger)
        ledger.record(first, step())

        second = taken_over(ledger, first)

        (found,) = ledger.begin(second, "fetch", 0)
        assert (found.result, found.epoch) == ('"first"', first.epoch)

    def test_the_intent_of_a_step_is_found_until_its_result_takes_its_place(
        self, ledger: Ledger
    ) -> None:
        """Of a `once` step both are recorded, in one place (rules 8 and 10)."""
        claim = started(ledger)
        ledger.record(claim, replace(step("pay", 0, "null"), kind=StepKind.INTENT))
        ledger.record(claim, replace(step("pay", 0, "null"), kind=StepKind.INTENT))
        (before,) = ledger.begin(claim, "pay", 0)

        for result in ('"paid"', '"paid again"'):
            ledger.record(claim, replace(step("pay", 0, result), kind=StepKind.ONCE))

        (after,) = ledger.begin(claim, "pay", 0)
        assert (before.kind, before.result) == (StepKind.INTENT, "null")
        assert (after.kind, after.result) == (StepKind.ONCE, '"paid"')
        assert list(ledger.steps(claim.job_id)) == [after]

    def test_the_next_attempt_finds_an_intent_and_may_settle_it(self, ledger: Ledger) -> None:
        """What it found out is recorded under its own epoch."""
        first = started(ledger)
        ledger.record(first, replace(step("pay", 0, "null"), kind=StepKind.INTENT))
        second = taken_over(ledger, first)

        (found,) = ledger.begin(second, "pay", 0)
        ledger.record(second, replace(step("pay", 0, '"paid"'), kind=StepKind.ONCE))

        (settled,) = ledger.steps(second.job_id)
        assert (found.kind, found.epoch) == (StepKind.INTENT, first.epoch)
        assert (settled.kind, settled.result, settled.epoch) == (
            StepKind.ONCE,
            '"paid"',
            second.epoch,
        )

    def test_a_fenced_attempt_settles_no_intent(self, ledger: Ledger) -> None:
        """Frozen in the step for longer than its lease, it wakes too late (R8)."""
        old = started(ledger)
        ledger.record(old, replace(step("pay", 0, "null"), kind=StepKind.INTENT))
        taken_over(ledger, old)

        late = replace(step("pay", 0, '"paid"'), kind=StepKind.ONCE)

        assert is_fenced(lambda: ledger.record(old, late))
        assert [each.kind for each in ledger.steps(old.job_id)] == [StepKind.INTENT]

    def test_a_finished_step_is_no_intent(self, ledger: Ledger) -> None:
        """Neither an intent nor a second result takes its place."""
        claim = started(ledger)
        ledger.record(claim, step("pay", 0, '"paid"'))

        for kind in (StepKind.INTENT, StepKind.ONCE):
            ledger.record(claim, replace(step("pay", 0, "null"), kind=kind))

        (kept,) = ledger.steps(claim.job_id)
        assert (kept.kind, kept.result) == (StepKind.RUN, '"paid"')

    def test_a_fenced_attempt_begins_no_step(self, ledger: Ledger) -> None:
        """Authority is checked at every begin (R9)."""
        old = started(ledger)
        taken_over(ledger, old)

        assert is_fenced(lambda: ledger.begin(old, "fetch", 0))

    def test_a_fenced_attempt_records_no_step(self, ledger: Ledger) -> None:
        """Frozen for longer than its lease, it wakes, and its write is refused (R8, I3)."""
        old = started(ledger)
        new = taken_over(ledger, old)
        before = ledger.get(old.job_id)

        assert is_fenced(lambda: ledger.record(old, step()))
        assert list(ledger.steps(old.job_id)) == []
        assert ledger.get(new.job_id) == before

    def test_the_epoch_alone_is_no_authority(self, ledger: Ledger) -> None:
        """A ledger that was restored may give out an epoch twice, but no claim id (R19)."""
        claim = started(ledger)
        twin = replace(claim, claim_id="0" * 32)

        assert is_fenced(lambda: ledger.begin(twin, "fetch", 0))
        assert is_fenced(lambda: ledger.record(twin, step()))
        assert is_fenced(lambda: ledger.conclude(twin, SUCCESS))
        assert not ledger.renew([twin])

    def test_an_attempt_of_a_job_that_is_gone_is_fenced(self, ledger: Ledger) -> None:
        """As after a ledger that lost it."""
        lost = replace(started(ledger), job_id="missing")

        assert is_fenced(lambda: ledger.begin(lost, "fetch", 0))
        assert is_fenced(lambda: ledger.record(lost, step()))
        assert not ledger.renew([lost])

    def test_no_step_begins_after_a_cancel_request(self, ledger: Ledger) -> None:
        """Even if it is recorded already (I9)."""
        claim = started(ledger)
        ledger.record(claim, step())
        ledger.cancel(claim.job_id, "ada")

        assert raises(CancelRequested, lambda: ledger.begin(claim, "fetch", 0))
        assert raises(CancelRequested, lambda: ledger.begin(claim, "send", 1))

    def test_a_step_that_ran_through_a_cancel_request_is_recorded(self, ledger: Ledger) -> None:
        """Its effects happened, and are visible."""
        claim = started(ledger)
        ledger.begin(claim, "fetch", 0)
        ledger.cancel(claim.job_id, "ada")

        ledger.record(claim, step())

        assert [each.name for each in ledger.steps(claim.job_id)] == ["fetch"]

    def test_a_fenced_attempt_learns_that_before_the_cancel_request(self, ledger: Ledger) -> None:
        """It may record nothing, not even that it was cancelled."""
        old = started(ledger)
        taken_over(ledger, old)
        ledger.cancel(old.job_id, "ada")

        assert is_fenced(lambda: ledger.begin(old, "fetch", 0))

    def test_the_progress_of_a_job_is_the_last_that_was_noted(self, ledger: Ledger) -> None:
        """And noting it shows that the attempt lives, as every write does (rule 7)."""
        claim = started(ledger)
        before = ledger.get(claim.job_id)
        last = Progress(2, None, "žluť", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))

        ledger.note_progress(claim, Progress(1, 3, "", last.at))
        ledger.note_progress(claim, last)

        after = ledger.get(claim.job_id)
        assert (before.progress, after.progress) == (None, last)
        assert after.revision > before.revision

    def test_a_fenced_attempt_notes_no_progress(self, ledger: Ledger) -> None:
        """The work is another attempt's now (I3)."""
        old = started(ledger)
        taken_over(ledger, old)
        word = Progress(1, 2, "late", datetime(2026, 1, 1, tzinfo=UTC))

        assert is_fenced(lambda: ledger.note_progress(old, word))
        assert ledger.get(old.job_id).progress is None

    def test_recording_a_step_shows_that_the_attempt_lives(self, ledger: Ledger) -> None:
        """Every worker write begins with the fence, which renews the lease (rule 7)."""
        claim = started(ledger)
        before = ledger.get(claim.job_id)

        ledger.record(claim, step())

        after = ledger.get(claim.job_id)
        assert after.revision > before.revision
        assert after.lease_until is not None
        assert before.lease_until is not None
        assert after.lease_until >= before.lease_until
