# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when a worker claims."""

from dataclasses import replace
from datetime import timedelta

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    FIRST,
    LONG,
    MOMENT,
    SECOND,
    PassTime,
    claimed,
    new_job,
    offered,
    plan,
    reoffered,
    started,
    taken_over,
    ticket,
    waiting,
)

RETRYING = CONCLUSIONS[1]


class ClaimPromises:
    """`claim`: only the newest offer, once, and again after a lost reply (rules 5 and 6)."""

    def test_a_claim_carries_what_the_attempt_needs(self, ledger: Ledger) -> None:
        """Name and payload come from the ledger and not from the message (rule 2)."""
        job = offered(ledger)
        shown = ticket(job, worker="worker-9", lease=timedelta(seconds=90))

        claim = ledger.claim(shown)

        assert claim is not None
        assert (claim.job_id, claim.epoch, claim.claim_id) == (job.id, 1, shown.claim_id)
        assert (claim.name, claim.queue, claim.payload) == (job.name, job.queue, job.payload)
        assert (claim.engine, claim.worker) == (FIRST, "worker-9")
        assert (claim.attempt, claim.errors, claim.crashes, claim.releases) == (1, 0, 0, 0)
        assert claim.lease == timedelta(seconds=90)

    def test_a_claimed_job_runs(self, ledger: Ledger) -> None:
        """The claim is the only proof of pickup."""
        claim = started(ledger)

        job = ledger.get(claim.job_id)
        assert (job.state, job.claims, job.epoch) == (JobState.RUNNING, 1, 1)
        assert job.started_at is not None
        assert job.lease_until is not None
        assert job.pickup_by is None

    def test_an_older_message_is_refused(self, ledger: Ledger) -> None:
        """After a hand-over the revoked engine cannot start the job (R6, I8)."""
        old = offered(ledger)
        new = reoffered(ledger, old.id, SECOND)

        refused = ledger.claim(ticket(old))

        assert refused is None
        assert ledger.get(old.id) == new

    def test_the_newest_message_is_taken_after_a_hand_over(self, ledger: Ledger) -> None:
        """The epoch is the fencing token (rule 5)."""
        old = offered(ledger)
        new = reoffered(ledger, old.id, SECOND)

        claim = claimed(ledger, new)

        assert (claim.epoch, claim.engine) == (2, SECOND)

    def test_void_tickets_are_refused_and_change_nothing(self, ledger: Ledger) -> None:
        """Another epoch, engine or queue than the offer's (rule 6)."""
        job = offered(ledger)
        good = ticket(job)
        void = [
            replace(good, epoch=0),
            replace(good, epoch=2),
            replace(good, engine=SECOND),
            replace(good, queue="data-sync"),
            replace(good, job_id="missing"),
        ]

        claims = [ledger.claim(each) for each in void]

        assert claims == [None] * len(void)
        assert ledger.get(job.id) == job
        assert len(ledger.events(job.id)) == 1

    def test_a_job_that_waits_cannot_be_claimed(self, ledger: Ledger) -> None:
        """Not even with its own epoch."""
        job = waiting(ledger)

        assert ledger.claim(Ticket(job.id, 0, FIRST, job.queue, "c1", "worker-1", LONG)) is None

    def test_a_cancelled_job_cannot_be_claimed(self, ledger: Ledger) -> None:
        """Cancelled before the claim: never starts (R20, I9)."""
        job = offered(ledger)
        ledger.cancel(job.id, "ada")

        assert ledger.claim(ticket(job)) is None

    def test_the_second_delivery_of_a_message_is_refused(self, ledger: Ledger) -> None:
        """Each epoch is claimed at most once (R5, I2)."""
        job = offered(ledger)
        claimed(ledger, job)
        running = ledger.get(job.id)

        assert ledger.claim(ticket(job)) is None
        assert ledger.get(job.id) == running

    def test_a_message_is_refused_after_its_attempt_ended(self, ledger: Ledger) -> None:
        """A redelivery finds the retry waiting and leaves it alone."""
        job = offered(ledger)
        ledger.conclude(claimed(ledger, job), RETRYING)

        assert ledger.claim(ticket(job)) is None

    def test_the_same_claim_may_be_repeated(self, ledger: Ledger) -> None:
        """Its reply may have been lost (R13)."""
        shown = ticket(offered(ledger))
        first = ledger.claim(shown)

        again = ledger.claim(shown)

        assert again == first
        assert ledger.get(shown.job_id).claims == 1
        assert len(ledger.attempts(shown.job_id)) == 1
        assert [event.kind for event in ledger.events(shown.job_id)] == ["dispatch", "claim"]

    def test_claims_that_are_made_together_have_a_fence_each(self, ledger: Ledger) -> None:
        """A void one changes nothing of the others (rules 4 and 6)."""
        jobs = [offered(ledger) for _ in range(3)]
        tickets = [ticket(job) for job in jobs]
        newer = reoffered(ledger, jobs[1].id, SECOND)

        claims = ledger.claim_many(tickets)

        found = {claim.job_id: claim for claim in claims}
        assert set(found) == {jobs[0].id, jobs[2].id}
        for shown in (tickets[0], tickets[2]):
            assert found[shown.job_id].claim_id == shown.claim_id
            assert ledger.claim(shown) == found[shown.job_id]
            assert ledger.get(shown.job_id).state is JobState.RUNNING
            assert len(ledger.attempts(shown.job_id)) == 1
        assert ledger.get(jobs[1].id) == newer
        assert not ledger.attempts(jobs[1].id)

    def test_of_one_job_no_two_claims_are_made_together(self, ledger: Ledger) -> None:
        """A message may have been delivered twice (I2)."""
        job, other = offered(ledger), offered(ledger)
        tickets = [ticket(job), ticket(other), ticket(job)]

        claims = ledger.claim_many(tickets)

        assert sorted(claim.job_id for claim in claims) == sorted([job.id, other.id])
        assert {claim.claim_id for claim in claims} < {shown.claim_id for shown in tickets}
        assert len(ledger.attempts(job.id)) == 1

    def test_a_limited_job_is_not_claimed_with_others(self, ledger: Ledger) -> None:
        """Whether there is room for it is looked up when it is claimed alone (I12)."""
        free, limited = offered(ledger), offered(ledger, limits=Limits(Limit("ab" * 16, 1)))

        claims = ledger.claim_many([ticket(limited), ticket(free)])

        assert [claim.job_id for claim in claims] == [free.id]
        assert ledger.get(limited.id) == limited
        assert ledger.claim(ticket(limited)) is not None

    def test_a_repeated_claim_is_refused_once_the_job_was_taken_away(self, ledger: Ledger) -> None:
        """The late retry of a lost claim restores nothing."""
        shown = ticket(offered(ledger))
        claim = ledger.claim(shown)
        assert claim is not None
        taken_over(ledger, claim)

        assert ledger.claim(shown) is None

    def test_every_claim_counts_as_an_attempt(self, ledger: Ledger) -> None:
        """It carries the budgets that are spent."""
        first = started(ledger)
        ledger.conclude(first, RETRYING)

        second = claimed(ledger, reoffered(ledger, first.job_id))

        assert (second.attempt, second.errors, second.epoch) == (2, 1, 2)

    def test_the_first_start_is_remembered(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Later attempts do not move it."""
        first = started(ledger)
        began = ledger.get(first.job_id).started_at
        pass_time(MOMENT)

        taken_over(ledger, first)

        assert ledger.get(first.job_id).started_at == began

    def test_a_claim_forgets_missed_pickups(self, ledger: Ledger) -> None:
        """The pickup patience starts again once a worker has claimed."""
        job = offered(ledger)
        moved = reoffered(ledger, job.id)
        assert moved.pickups_missed == 1

        claimed(ledger, moved)

        assert ledger.get(job.id).pickups_missed == 0

    def test_attempts_are_kept_in_their_order(self, ledger: Ledger) -> None:
        """Each with its epoch, its engine and its worker (I2)."""
        first = started(ledger, worker="worker-1")
        second = claimed(ledger, reoffered(ledger, first.job_id, SECOND), worker="worker-2")

        attempts = ledger.attempts(first.job_id)

        assert [each.epoch for each in attempts] == [1, 2]
        assert [each.claim_id for each in attempts] == [first.claim_id, second.claim_id]
        assert [(each.engine, each.worker) for each in attempts] == [
            (FIRST, "worker-1"),
            (SECOND, "worker-2"),
        ]
        assert [each.outcome for each in attempts] == ["recover", None]

    def test_a_claim_names_its_worker_in_the_history(self, ledger: Ledger) -> None:
        """The event names the worker."""
        job, _ = ledger.record_job(new_job(), plan())
        claimed(ledger, job, worker="worker-9")

        event = ledger.events(job.id)[-1]

        assert (event.kind, event.actor, event.state) == ("claim", "worker-9", JobState.RUNNING)
