# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when ended work is done again (rule 19)."""

import json

from failsoft.job_engine.errors import JobNotFoundError, JobStateError, StepError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord
from failsoft.job_engine.records.manual_retry import DeadLetters, ManualRetry
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import SentEvent, Wait, event_topic
from failsoft.testing.ledger_suite.fixtures import (
    ENDINGS,
    FAILURE,
    LONG,
    MOMENT,
    SUCCESS,
    PassTime,
    claimed,
    ended,
    expect_sound_history,
    new_job,
    offered,
    plan,
    raises,
    reoffered,
    started,
    step,
)


class RetryPromises:
    """`retry`: a new job, linked to the old one, which stays as it ended (I4)."""

    def test_a_retry_is_a_new_job_that_is_due(self, ledger: Ledger) -> None:
        """With everything that its dispatch had decided, and no key."""
        old = offered(ledger, idempotency_key="k", priority=7, engines=("first",), tags=("a",))
        ledger.conclude(claimed(ledger, old), FAILURE)
        before = ledger.get(old.id), ledger.events(old.id)

        job, created = ledger.retry(ManualRetry(old.id, "ada", "fixed"))

        assert created
        assert (job.state, job.epoch, job.retry_of) == (JobState.SCHEDULED, 0, old.id)
        assert (job.name, job.queue, job.payload) == (old.name, old.queue, old.payload)
        assert (job.priority, job.engines, job.tags) == (7, ("first",), ("a",))
        assert (job.idempotency_key, job.error, job.errors) == (None, None, 0)
        assert [due.id for due in ledger.due(10)] == [job.id]
        assert (ledger.get(old.id), ledger.events(old.id)) == before
        (event,) = ledger.events(job.id)
        assert (event.kind, event.actor) == ("dispatch", "ada")
        assert event.detail == {"retry_of": old.id, "reason": "fixed"}

    def test_the_old_key_goes_on_pointing_at_the_old_job(self, ledger: Ledger) -> None:
        """A retry is neither suppressed by its own key nor takes it over."""
        new = new_job(idempotency_key="k")
        old, _ = ledger.record_job(new, plan())
        ledger.conclude(claimed(ledger, old), FAILURE)
        ledger.retry(ManualRetry(old.id, "ada"))

        again, created = ledger.record_job(new_job(idempotency_key="k"), plan())

        assert (again.id, created) == (old.id, False)

    def test_it_goes_on_after_the_last_finished_step(self, ledger: Ledger) -> None:
        """What was recorded is copied, under an epoch that no attempt has."""
        old = failed(ledger)

        job, _ = ledger.retry(ManualRetry(old.job_id, "ada"))

        copied = [(s.name, s.seq, s.kind, s.epoch) for s in ledger.steps(job.id)]
        assert copied == [
            ("fetch", 0, StepKind.RUN, 0),
            ("nap", 1, StepKind.SLEEP, 0),
            ("pay", 2, StepKind.INTENT, 0),
        ]
        claim = claimed(ledger, reoffered(ledger, job.id))
        (found,) = ledger.begin(claim, "fetch", 0)
        assert found.result == '"first"'
        ledger.conclude(claim, SUCCESS)
        expect_sound_history(ledger, job.id)

    def test_a_step_in_doubt_stays_in_doubt(self, ledger: Ledger) -> None:
        """No person allowed it to begin again (I6)."""
        job, _ = ledger.retry(ManualRetry(failed(ledger).job_id, "ada"))

        claim = claimed(ledger, reoffered(ledger, job.id))

        (found,) = ledger.begin(claim, "pay", 2)
        assert found.kind is StepKind.INTENT

    def test_it_goes_on_with_the_old_idempotency_keys(self, ledger: Ledger) -> None:
        """What may have taken effect is done again under the key it was done with."""
        old = failed(ledger)
        first, _ = ledger.retry(ManualRetry(old.job_id, "ada"))
        claim = claimed(ledger, reoffered(ledger, first.id))
        ledger.conclude(claim, FAILURE)

        second, _ = ledger.retry(ManualRetry(first.id, "ada"))

        assert (claim.idempotency_root, second.idempotency_root) == (old.job_id, old.job_id)

    def test_it_receives_no_event_again_that_it_has_taken_over(self, ledger: Ledger) -> None:
        """Of those that were sent to a key it goes on with the one after them."""
        topic, claim = Wait(event_topic("parcel", key="dock-7")), started(ledger)
        for number in (1, 2):
            event_id = f"parcel-{number}"
            ledger.send(SentEvent(event_id, topic.topic, "parcel", str(number)))
        ledger.receive(claim, StepRecord("one", 0, StepKind.WAIT, "{}"), topic)
        ledger.conclude(claim, FAILURE)

        again, _ = ledger.retry(ManualRetry(claim.job_id, "ada"))
        next_claim = claimed(ledger, reoffered(ledger, again.id))
        met = ledger.receive(next_claim, StepRecord("two", 1, StepKind.WAIT, "{}"), topic)

        assert met is not None
        assert json.loads(met.result)["id"] == "parcel-2"

    def test_a_replay_receives_what_it_has_not_taken_over(self, ledger: Ledger) -> None:
        """The step that had received it is done anew."""
        topic, claim = Wait(event_topic("parcel", key="dock-8")), started(ledger)
        ledger.send(SentEvent("parcel-3", topic.topic, "parcel", "3"))
        ledger.receive(claim, StepRecord("one", 0, StepKind.WAIT, "{}"), topic)
        ledger.conclude(claim, FAILURE)

        again, _ = ledger.retry(ManualRetry(claim.job_id, "ada", from_step="one"))
        next_claim = claimed(ledger, reoffered(ledger, again.id))

        step = StepRecord("one", 0, StepKind.WAIT, "{}")
        assert ledger.receive(next_claim, step, topic) is not None

    def test_a_replay_takes_over_what_was_before_the_step(self, ledger: Ledger) -> None:
        """It uses keys of its own: the rest is to be done again."""
        for state in ENDINGS:
            claim = started(ledger)
            for place, name in enumerate(("fetch", "send", "report")):
                ledger.record(claim, step(name, place))
            if state is JobState.CANCELLED:
                ledger.cancel(claim.job_id, "ada")
            ledger.conclude(claim, ENDINGS[state])

            job, _ = ledger.retry(ManualRetry(claim.job_id, "ada", from_step="send"))

            assert [s.name for s in ledger.steps(job.id)] == ["fetch"]
            assert job.idempotency_root is None
            detail = {"retry_of": claim.job_id, "from_step": "send", "copied": ["fetch"]}
            assert ledger.events(job.id)[0].detail == detail

    def test_another_payload_begins_from_the_start(self, ledger: Ledger) -> None:
        """Nothing recorded belongs to it."""
        old = failed(ledger)

        job, _ = ledger.retry(ManualRetry(old.job_id, "ada", payload='{"user_id": 8}'))

        assert (job.payload, list(ledger.steps(job.id))) == ('{"user_id": 8}', [])
        assert job.payload_sha != ledger.get(old.job_id).payload_sha
        assert job.idempotency_root is None

    def test_a_repeated_retry_makes_no_second_job(self, ledger: Ledger) -> None:
        """Whatever the actor, and however the first ended (F22)."""
        old = failed(ledger)
        job, _ = ledger.retry(ManualRetry(old.job_id, "ada"))
        ledger.conclude(claimed(ledger, reoffered(ledger, job.id)), FAILURE)

        again, created = ledger.retry(ManualRetry(old.job_id, "bob", "me too"))
        other, _ = ledger.retry(ManualRetry(old.job_id, "ada", from_step="nap"))

        assert (again, created) == (ledger.get(job.id), False)
        assert {each.id for each in ledger.again(old.job_id)} == {job.id, other.id}

    def test_only_what_has_failed_is_tried_again(self, ledger: Ledger) -> None:
        """And only what has ended is done again."""
        running = started(ledger).job_id
        succeeded = ended(ledger, JobState.SUCCEEDED).job_id

        for job_id in (running, succeeded):
            assert raises(JobStateError, lambda: ledger.retry(ManualRetry(job_id, "ada")))  # noqa: B023 - called at once
        edited = ManualRetry(running, "ada", payload="{}")
        assert raises(JobStateError, lambda: ledger.retry(edited))
        assert raises(JobNotFoundError, lambda: ledger.retry(ManualRetry("missing", "ada")))
        assert list(ledger.due(10)) == []

    def test_a_step_that_is_not_recorded_cannot_be_replayed_from(self, ledger: Ledger) -> None:
        """Nothing is recorded then."""
        old = failed(ledger)

        replay = ManualRetry(old.job_id, "ada", from_step="send")
        assert raises(StepError, lambda: ledger.retry(replay))
        assert list(ledger.again(old.job_id)) == []

    def test_dead_letters_are_found_until_they_are_retried(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The oldest first, of a definition, of a queue, or lately failed."""
        first = ended(ledger, JobState.FAILED).job_id
        pass_time(MOMENT)
        second = ended(ledger, JobState.FAILED).job_id
        pass_time(MOMENT)
        other = offered(ledger, name="other", queue="slow")
        ledger.conclude(claimed(ledger, other), FAILURE)
        ended(ledger, JobState.SUCCEEDED)
        everything = [first, second, other.id]

        assert ledger.dead_letters(DeadLetters()) == everything
        assert ledger.dead_letters(DeadLetters(limit=2)) == everything[:2]
        assert ledger.dead_letters(DeadLetters(name="other")) == [other.id]
        assert ledger.dead_letters(DeadLetters(queue="slow")) == [other.id]
        assert ledger.dead_letters(DeadLetters(since=LONG)) == everything
        ledger.retry(ManualRetry(first, "ada"))
        assert ledger.dead_letters(DeadLetters()) == everything[1:]


def failed(ledger: Ledger) -> Claim:
    """Bring a job to fail with a finished step, a sleep and a step in doubt."""
    claim = started(ledger)
    ledger.record(claim, step("fetch", 0))
    ledger.record(claim, StepRecord("nap", 1, StepKind.SLEEP, '"for 1:00:00"'))
    ledger.record(claim, StepRecord("pay", 2, StepKind.INTENT, "null"))
    ledger.conclude(claim, FAILURE)
    return claim
