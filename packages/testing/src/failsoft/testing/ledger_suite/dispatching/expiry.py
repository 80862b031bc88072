# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of jobs that wait: they expire, and may be replaced until they begin."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import RELEASE, JobState
from failsoft.testing.ledger_suite.fixtures import (
    FIRST,
    LONG,
    MOMENT,
    SECOND,
    PassTime,
    claimed,
    ended,
    expect_sound_history,
    new_job,
    offered,
    plan,
    reoffered,
    started,
    ticket,
    waiting,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OTHER = {"payload": '{"user_id": 8}', "payload_sha": "0ther"}


class ExpiryPromises:
    """`expired`, `expire` and `replace`; the database's clock decides (rule 12)."""

    def test_an_expiry_is_kept_as_a_moment(self, ledger: Ledger) -> None:
        """Whether it was given as one or as a span."""
        at = offered(ledger, expires_at=datetime(2999, 1, 1, tzinfo=UTC))
        after = waiting(ledger, expires_in=LONG)

        assert ledger.get(at.id).expires_at == at.expires_at == datetime(2999, 1, 1, tzinfo=UTC)
        assert after.expires_at is not None
        assert LONG <= after.expires_at - after.created_at < LONG + MOMENT
        assert ledger.get(after.id) == after
        assert offered(ledger).expires_at is None

    def test_an_expired_job_is_not_begun(self, ledger: Ledger, pass_time: PassTime) -> None:
        """The claim is refused, however valid its message is."""
        job = offered(ledger, expires_in=MOMENT)

        pass_time(MOMENT)

        assert ledger.claim(ticket(job)) is None
        assert ledger.get(job.id) == job

    def test_a_job_that_was_begun_does_not_expire(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Neither while it runs nor when it waits for its next attempt."""
        claim = claimed(ledger, offered(ledger, expires_in=MOMENT * 5))
        ledger.conclude(claim, Conclusion(RELEASE))
        pass_time(MOMENT * 5)

        assert not ledger.expired(10)
        assert ledger.claim(ticket(reoffered(ledger, claim.job_id))) is not None

    def test_what_has_expired_is_found_the_oldest_first(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Offered or not, and no more than the limit."""
        later = waiting(ledger, LONG, expires_in=MOMENT)
        first = offered(ledger, expires_at=LONG_AGO)
        offered(ledger, expires_in=LONG)
        offered(ledger)

        pass_time(MOMENT)

        assert [job.id for job in ledger.expired(10)] == [first.id, later.id]
        assert [job.id for job in ledger.expired(1)] == [first.id]
        assert ledger.expired(1)[0] == ledger.get(first.id)

    def test_an_expired_job_ends_visibly(self, ledger: Ledger) -> None:
        """Cancelled, with the reason and an error that says so."""
        job = offered(ledger, expires_at=LONG_AGO)

        ended_job = ledger.expire(job)

        assert ended_job is not None
        assert (ended_job.state, ended_job.has_expired) == (JobState.CANCELLED, True)
        assert ended_job.error is not None
        assert ended_job.error.type.endswith("JobExpiredError")
        assert ledger.events(job.id)[-1].detail == {"reason": "expired"}
        assert not ledger.expired(10)
        expect_sound_history(ledger, job.id)

    def test_a_job_that_moved_on_is_not_expired(self, ledger: Ledger) -> None:
        """A claim that was first wins (rule 4)."""
        job = offered(ledger)
        claimed(ledger, job)

        assert ledger.expire(job) is None

    def test_a_job_that_waits_is_replaced(self, ledger: Ledger) -> None:
        """Payload and options are the new ones; its id stays."""
        job = waiting(ledger, priority=1, tags=("old",), expires_in=LONG, idempotency_key="k")
        new = new_job(**OTHER, delay=LONG * 2, priority=5, tags=("new",), engines=(SECOND,))
        new = replace(new, version=2)

        replaced = ledger.replace(job, new)

        assert replaced is not None
        assert replaced == ledger.get(job.id)
        assert (replaced.payload, replaced.payload_sha) == (new.payload, new.payload_sha)
        assert replaced.version == new.version
        assert (replaced.priority, replaced.tags, replaced.engines) == (5, ("new",), (SECOND,))
        assert (replaced.idempotency_key, replaced.created_at) == ("k", job.created_at)
        assert replaced.expires_at is None
        assert replaced.run_at is not None
        assert job.run_at is not None
        assert replaced.run_at >= job.run_at + LONG
        expect_sound_history(ledger, job.id)

    def test_the_message_of_a_replaced_job_is_void(self, ledger: Ledger) -> None:
        """It is due, and offered again under a new epoch (rule 5)."""
        job = offered(ledger, FIRST)

        replaced = ledger.replace(job, new_job(**OTHER, expires_in=LONG))

        assert replaced is not None
        assert (replaced.state, replaced.pickup_by) == (JobState.SCHEDULED, None)
        assert replaced.expires_at is not None
        assert [due.id for due in ledger.due(10)] == [job.id]
        moved = ledger.offer(replaced, plan(SECOND))
        assert moved is not None
        assert ledger.claim(ticket(job)) is None
        assert claimed(ledger, moved).payload == OTHER["payload"]

    def test_a_job_that_moved_on_is_not_replaced(self, ledger: Ledger) -> None:
        """The attempt keeps the payload that it claimed (rule 4)."""
        job = offered(ledger)
        claim = claimed(ledger, job)

        assert ledger.replace(job, new_job(**OTHER)) is None
        assert ledger.replace(ledger.get(job.id), new_job(**OTHER)) is None
        assert ledger.get(job.id).payload == claim.payload

    def test_a_job_that_has_ended_is_not_replaced(self, ledger: Ledger) -> None:
        """A terminal state is absorbing (I4)."""
        job = ledger.get(ended(ledger, JobState.SUCCEEDED).job_id)

        assert ledger.replace(job, new_job(**OTHER)) is None

    def test_only_a_job_that_no_attempt_has_begun_is_unbegun(self, ledger: Ledger) -> None:
        """One that waits again after an attempt is none."""
        claim = started(ledger)
        running = ledger.get(claim.job_id)
        ledger.conclude(claim, Conclusion(RELEASE, delay=timedelta(0)))

        assert waiting(ledger).is_unbegun
        assert offered(ledger).is_unbegun
        assert not running.is_unbegun
        assert not ledger.get(claim.job_id).is_unbegun
