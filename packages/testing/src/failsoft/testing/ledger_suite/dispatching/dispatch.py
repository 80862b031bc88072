# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when a job is recorded."""

from datetime import datetime, timedelta, timezone

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import DispatchTry, TryOutcome
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import FIRST, LONG, SECOND, ended, new_job, plan


class DispatchPromises:
    """`record_job`: one commit, idempotent by key and by id (rules 1 and 3, R24, I10)."""

    def test_a_job_with_a_plan_is_offered_in_the_same_commit(self, ledger: Ledger) -> None:
        """The state is written before any message is sent (rule 3)."""
        job, created = ledger.record_job(new_job(), plan(FIRST, LONG))

        assert created
        assert (job.state, job.epoch, job.engine) == (JobState.OFFERED, 1, FIRST)
        assert job.pickup_by is not None
        assert timedelta(0) <= job.pickup_by - job.created_at - LONG < timedelta(seconds=5)
        assert job.run_at is None

    def test_a_job_without_a_plan_waits(self, ledger: Ledger) -> None:
        """It has no engine and no epoch that a worker could claim."""
        job, created = ledger.record_job(new_job(), None)

        assert created
        assert (job.state, job.epoch, job.engine) == (JobState.SCHEDULED, 0, None)
        assert job.pickup_by is None
        assert job.run_at is not None

    def test_a_delay_counts_from_the_ledgers_now(self, ledger: Ledger) -> None:
        """One clock decides what is due (R17)."""
        job, _ = ledger.record_job(new_job(delay=LONG), None)

        assert job.run_at is not None
        assert timedelta(0) <= job.run_at - job.created_at - LONG < timedelta(seconds=5)

    def test_a_moment_is_kept_to_the_microsecond(self, ledger: Ledger) -> None:
        """Whatever its time zone."""
        india = timezone(timedelta(hours=5, minutes=30))
        moment = datetime(2031, 2, 3, 4, 5, 6, 789012, tzinfo=india)

        job, _ = ledger.record_job(new_job(run_at=moment), None)

        assert ledger.get(job.id).run_at == moment

    def test_what_was_recorded_is_read_back_unchanged(self, ledger: Ledger) -> None:
        """Also what is long, and what is not ASCII."""
        text = '{"note": "' + "žluťoučký 🐎 '\"; --".replace('"', '\\"') * 3000 + '"}'
        given = new_job(payload=text, priority=-7, engines=(SECOND, FIRST), tags=("a b", "ž"))

        job = ledger.get(ledger.record_job(given, plan())[0].id)

        assert (job.id, job.name, job.queue) == (given.id, given.name, given.queue)
        assert (job.payload, job.payload_sha) == (text, given.payload_sha)
        assert (job.priority, job.engines, job.tags) == (-7, (SECOND, FIRST), ("a b", "ž"))

    def test_a_new_job_has_spent_no_budget(self, ledger: Ledger) -> None:
        """Every counter begins at zero (rule 18)."""
        job, _ = ledger.record_job(new_job(), plan())

        assert (job.claims, job.errors, job.crashes, job.releases) == (0, 0, 0, 0)
        assert (job.handoffs, job.pickups_missed, job.cancel_requested) == (0, 0, False)
        assert (job.result, job.error, job.started_at, job.finished_at) == (None, None, None, None)

    def test_a_job_is_returned_as_it_is_read(self, ledger: Ledger) -> None:
        """A transition returns the row as it is stored."""
        job, _ = ledger.record_job(new_job(), plan())

        assert ledger.get(job.id) == job

    def test_a_used_key_returns_the_job_that_has_it(self, ledger: Ledger) -> None:
        """Same name and key, same job (I10)."""
        first, _ = ledger.record_job(new_job(idempotency_key="welcome-7"), plan())

        second, created = ledger.record_job(new_job(idempotency_key="welcome-7"), plan(SECOND))

        assert not created
        assert second == first == ledger.get(first.id)

    def test_a_used_key_leaves_no_trace(self, ledger: Ledger) -> None:
        """Neither a second job nor events."""
        first, _ = ledger.record_job(new_job(idempotency_key="welcome-7"), plan())
        again = new_job(idempotency_key="welcome-7")

        ledger.record_job(again, plan())

        assert [job.id for job in ledger.list_jobs()] == [first.id]
        assert len(ledger.events(first.id)) == 1

    def test_a_key_belongs_to_one_job_name(self, ledger: Ledger) -> None:
        """The same key of another job is another job."""
        ledger.record_job(new_job(idempotency_key="7"), plan())

        _, created = ledger.record_job(new_job(name="send_bill", idempotency_key="7"), plan())

        assert created

    def test_jobs_without_a_key_never_collide(self, ledger: Ledger) -> None:
        """No key is not a key."""
        ledger.record_job(new_job(), plan())

        _, created = ledger.record_job(new_job(), plan())

        assert created

    def test_a_used_id_returns_the_job_that_has_it(self, ledger: Ledger) -> None:
        """A commit whose reply was lost finds its own row when it is repeated (F22)."""
        new = new_job()
        first, _ = ledger.record_job(new, plan())

        second, created = ledger.record_job(new, plan())

        assert not created
        assert second == first
        assert len(ledger.events(first.id)) == 1

    def test_the_key_of_an_ended_job_stays_used(self, ledger: Ledger) -> None:
        """A dispatch repeated after the job's end makes no second job."""
        new = new_job(idempotency_key="welcome-7")
        job, _ = ledger.record_job(new, plan())
        ledger.cancel(job.id, "ada")

        again, created = ledger.record_job(new_job(idempotency_key="welcome-7"), plan())

        assert (again.id, again.state, created) == (job.id, JobState.CANCELLED, False)

    def test_tries_are_kept_with_the_job(self, ledger: Ledger) -> None:
        """So that any dispatch can be explained."""
        skipped = DispatchTry(FIRST, 1, "breaker", TryOutcome.SKIPPED, "timed out", 0.25)
        job, _ = ledger.record_job(new_job(), plan(SECOND))

        accepted = DispatchTry(SECOND, 1, "offer", TryOutcome.ACCEPTED)
        ledger.note_tries([(job.id, skipped), (job.id, accepted)])

        tries = ledger.tries(job.id)
        assert [each.stage for each in tries] == ["breaker", "offer"]
        assert tries[0].outcome is TryOutcome.SKIPPED
        assert (tries[0].reason, tries[0].elapsed, tries[0].epoch) == ("timed out", 0.25, 1)
        assert all(each.at is not None for each in tries)

    def test_the_first_event_is_the_dispatch(self, ledger: Ledger) -> None:
        """The history begins in the same commit (rule 22)."""
        job, _ = ledger.record_job(new_job(), plan())

        (event,) = ledger.events(job.id)
        assert (event.job_id, event.n, event.kind) == (job.id, 1, "dispatch")
        assert (event.state, event.epoch) == (JobState.OFFERED, 1)
        assert event.detail["engine"] == FIRST

    def test_a_job_of_the_same_id_is_not_begun_again_after_its_end(self, ledger: Ledger) -> None:
        """Terminal is absorbing (rule 19)."""
        claim = ended(ledger, JobState.SUCCEEDED)

        job, created = ledger.record_job(new_job(id=claim.job_id), plan())

        assert (job.state, created) == (JobState.SUCCEEDED, False)
