# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises an engine that takes its offers from there."""

from datetime import timedelta

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.offered import TAKEN
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    FIRST,
    LONG,
    QUEUE,
    SECOND,
    PassTime,
    claimed,
    offered,
    reoffered,
    ticket,
    waiting,
)

#: More than there are.
ALL = 100
SOON = timedelta(seconds=1)


def taken(ledger: Ledger, limit: int = ALL, engine: str = FIRST) -> list[str]:
    """Take offers and return the ids of their jobs."""
    return [job_id for job_id, _ in ledger.take_offers(engine, QUEUE, limit)]


def ids(*jobs: JobRecord) -> list[str]:
    """Return the ids of jobs."""
    return [job.id for job in jobs]


class TakenOfferPromises:
    """Workers are given each offer once in a while, and the claim decides as with any engine."""

    def test_what_is_offered_is_taken_with_its_epoch(self, ledger: Ledger) -> None:
        """And only what is offered to that engine, for that queue."""
        offer, _ = offered(ledger), offered(ledger, SECOND)
        offered(ledger, queue="another")
        waiting(ledger)

        assert ledger.take_offers(FIRST, QUEUE, ALL) == [(offer.id, offer.epoch)]

    def test_the_most_urgent_are_taken_first(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Of those that are alike, the ones that were recorded first."""
        jobs = list[JobRecord]()
        for priority in (0, 5, 0, 5, -5):
            jobs.append(offered(ledger, priority=priority))
            pass_time(timedelta(milliseconds=1))

        first, then = taken(ledger, 3), taken(ledger, 3)

        assert first == ids(jobs[1], jobs[3], jobs[0])
        assert then == ids(jobs[2], jobs[4])

    def test_an_offer_that_rescuers_looked_into_keeps_its_place(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Its pickup deadline moves on each time, beyond those of the offers after it."""
        first = offered(ledger, pickup=SOON)
        pass_time(2 * SOON)
        second = offered(ledger, pickup=SOON)
        ledger.postpone(ledger.get(first.id), LONG)

        assert taken(ledger) == ids(first, second)

    def test_an_offer_is_given_to_one_worker(self, ledger: Ledger) -> None:
        """The next one is given the next offers."""
        jobs = [offered(ledger, priority=-n) for n in range(3)]

        assert [taken(ledger, 2) for _ in range(3)] == [ids(*jobs[:2]), ids(jobs[2]), []]

    def test_an_offer_that_was_not_claimed_is_given_to_another(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The worker that took it may have died."""
        job = offered(ledger)
        assert taken(ledger) == ids(job)

        pass_time(TAKEN - SOON)
        before = taken(ledger)
        pass_time(2 * SOON)

        assert (before, taken(ledger)) == ([], ids(job))

    def test_an_offer_that_was_taken_by_a_clock_ahead_is_given(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """No worker has one to itself for longer than that."""
        job = offered(ledger)
        pass_time(LONG)
        taken(ledger)

        pass_time(-LONG)

        assert taken(ledger) == ids(job)

    def test_taking_an_offer_changes_nothing_else(self, ledger: Ledger) -> None:
        """The claim is made by its message, and the first to make it has the job."""
        job = offered(ledger)

        taken(ledger)

        assert ledger.get(job.id) == job
        assert [event.kind for event in ledger.events(job.id)] == ["dispatch"]
        assert claimed(ledger, job).epoch == job.epoch
        assert ledger.claim(ticket(job)) is None

    def test_a_claimed_job_is_not_taken(self, ledger: Ledger, pass_time: PassTime) -> None:
        """However long its attempt runs."""
        claimed(ledger, offered(ledger))

        pass_time(2 * TAKEN)

        assert taken(ledger) == []

    def test_a_job_that_is_offered_again_is_given_at_once(self, ledger: Ledger) -> None:
        """Also where a worker took the offer before: that one is void now."""
        job = offered(ledger)
        taken(ledger)

        again = reoffered(ledger, job.id)

        assert ledger.take_offers(FIRST, QUEUE, ALL) == [(job.id, again.epoch)]
        assert again.epoch == job.epoch + 1

    def test_paused_jobs_are_left_where_they_are(self, ledger: Ledger) -> None:
        """Of a queue or of a name; they are taken as soon as they may begin."""
        jobs = [offered(ledger, name=name, priority=n) for n, name in enumerate(("a-job", "b-job"))]
        in_queue, of_name = Pause("queue", QUEUE, "ada"), Pause("job", "b-job", "ada")
        found = list[list[str]]()

        for pause in (in_queue, of_name):
            ledger.pause(pause)
            found.append(taken(ledger, 1))
            ledger.unpause(pause.kind, pause.name)

        assert found == [[], ids(jobs[0])]
        assert taken(ledger) == ids(jobs[1])

    def test_offers_are_counted_until_their_claim(self, ledger: Ledger) -> None:
        """Also those that a worker took."""
        jobs = [offered(ledger) for _ in range(3)]
        offered(ledger, SECOND)
        counts = [ledger.count_offers(FIRST, QUEUE)]

        taken(ledger)
        counts.append(ledger.count_offers(FIRST, QUEUE))
        claimed(ledger, jobs[0])
        counts.append(ledger.count_offers(FIRST, QUEUE))

        assert counts == [3, 3, 2]
        assert ledger.count_offers(FIRST, "another") == 0

    def test_a_write_that_is_only_tried_changes_nothing(self, ledger: Ledger) -> None:
        """Neither of the jobs, nor of what the ledger is."""
        job = offered(ledger)
        keys = ledger.signing_keys()

        ledger.expect_writable(LONG)

        assert (ledger.get(job.id), ledger.signing_keys()) == (job, keys)
        assert ledger.get(job.id).state is JobState.OFFERED

    def test_a_worker_that_waits_is_woken_or_has_waited_its_time(self, ledger: Ledger) -> None:
        """Whether the database notifies or not, and after a rest as before."""
        watch = ledger.watch_offers(FIRST, QUEUE)
        try:
            for _ in range(2):
                watch.wait(0.01)
                ledger.wake_workers(FIRST, QUEUE, LONG)
                watch.wait(0.01)
                watch.rest()
        finally:
            watch.close()
