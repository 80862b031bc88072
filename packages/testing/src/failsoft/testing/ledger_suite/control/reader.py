# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises to people and programs that read it."""

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ENDINGS,
    LONG,
    MOMENT,
    SECOND,
    SUCCESS,
    PassTime,
    claimed,
    ended,
    expect_sound_history,
    offered,
    plan,
    raises,
    reoffered,
    started,
    step,
    waiting,
)


class ReaderPromises:
    """`get`, `list_jobs`, `counts` and the histories (rule 22)."""

    def test_a_job_that_is_not_there_is_not_found(self, ledger: Ledger) -> None:
        """Nor is anything of it."""
        assert raises(JobNotFoundError, lambda: ledger.get("missing"))
        assert list(ledger.steps("missing")) == []
        assert list(ledger.attempts("missing")) == []
        assert list(ledger.tries("missing")) == []
        assert list(ledger.events("missing")) == []

    def test_an_empty_ledger_is_empty(self, ledger: Ledger) -> None:
        """Nothing is due, unclaimed, running or alive."""
        assert list(ledger.list_jobs()) == []
        assert ledger.counts() == {}
        assert not [*ledger.due(10), *ledger.unclaimed(10), *ledger.running()]
        assert not ledger.live_workers()

    def test_jobs_are_listed_the_newest_first(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Up to the limit."""
        oldest = offered(ledger)
        pass_time(MOMENT)
        middle = offered(ledger)
        pass_time(MOMENT)
        newest = offered(ledger)

        assert [job.id for job in ledger.list_jobs()] == [newest.id, middle.id, oldest.id]
        assert [job.id for job in ledger.list_jobs(limit=2)] == [newest.id, middle.id]

    def test_jobs_are_found_by_state(self, ledger: Ledger) -> None:
        """One state or several."""
        job, waits = offered(ledger), waiting(ledger)
        ended(ledger, JobState.FAILED)

        found = ledger.list_jobs(states=[JobState.OFFERED])
        both = ledger.list_jobs(states=[JobState.OFFERED, JobState.SCHEDULED])

        assert [each.id for each in found] == [job.id]
        assert {each.id for each in both} == {job.id, waits.id}

    def test_jobs_are_found_by_queue_and_by_name(self, ledger: Ledger) -> None:
        """All conditions hold at once."""
        offered(ledger)
        sync = offered(ledger, queue="data-sync")
        bill = offered(ledger, queue="data-sync", name="send_bill")

        assert {job.id for job in ledger.list_jobs(queue="data-sync")} == {sync.id, bill.id}
        assert [job.id for job in ledger.list_jobs(name="send_bill")] == [bill.id]
        assert not ledger.list_jobs(queue="default", name="send_bill")
        assert not ledger.list_jobs(states=[JobState.FAILED], name="send_bill")

    def test_jobs_are_found_by_their_tags_as_they_are_written(self, ledger: Ledger) -> None:
        """A tag that is part of another one is another one."""
        red = offered(ledger, tags=("red", "of 50%"))
        odd = offered(ledger, tags=('a, "', "\u00e4\\_"))
        offered(ledger, tags=("Red", "reddish", "of 50 _"))

        def with_tag(tag: str) -> set[str]:
            return {job.id for job in ledger.list_jobs(tag=tag)}

        assert with_tag("red") == with_tag("of 50%") == {red.id}
        assert with_tag('a, "') == with_tag("\u00e4\\_") == {odd.id}
        assert with_tag(", ") == with_tag("of 50") == set()

    def test_jobs_are_found_by_key_and_by_time(self, ledger: Ledger, pass_time: PassTime) -> None:
        """From the first moment on, and before the second."""
        first = offered(ledger, idempotency_key="one")
        pass_time(MOMENT)
        second = offered(ledger, idempotency_key="two")
        pass_time(MOMENT)
        third = offered(ledger)
        since, until = second.created_at, third.created_at

        assert [job.id for job in ledger.list_jobs(key="one")] == [first.id]
        assert [job.id for job in ledger.list_jobs(since=since)] == [third.id, second.id]
        assert [job.id for job in ledger.list_jobs(since=since, until=until)] == [second.id]
        assert not ledger.list_jobs(key="one", since=since)

    def test_jobs_are_found_by_the_beginning_of_their_ids(self, ledger: Ledger) -> None:
        """In their order; capitals are other letters, and no sign stands for another one."""
        for job_id in ("ab_2", "ab_1", "abc", "AB_1", "ab-0", "zz"):
            offered(ledger, id=job_id)

        assert list(ledger.find_ids("ab_", 10)) == ["ab_1", "ab_2"]
        assert list(ledger.find_ids("ab_", 1)) == ["ab_1"]
        assert set(ledger.find_ids("ab", 10)) == {"ab_1", "ab_2", "abc", "ab-0"}
        assert list(ledger.find_ids("zz", 10)) == ["zz"]
        assert list(ledger.find_ids("q", 10)) == []

    def test_jobs_are_counted_by_state(self, ledger: Ledger) -> None:
        """States without any are left out."""
        offered(ledger)
        offered(ledger)
        ended(ledger, JobState.SUCCEEDED)

        assert ledger.counts() == {JobState.OFFERED: 2, JobState.SUCCEEDED: 1}

    def test_jobs_are_counted_however_they_ended(self, ledger: Ledger) -> None:
        """By the attempt, by a request that it honours, or before any attempt."""
        for state in ENDINGS:
            ended(ledger, state)
        ledger.cancel(waiting(ledger).id, "ada")

        assert ledger.counts() == dict.fromkeys(ENDINGS, 1) | {JobState.CANCELLED: 2}

    def test_every_transition_is_one_event(self, ledger: Ledger) -> None:
        """Numbered without gaps, in the order they happened (rule 22)."""
        first = waiting(ledger)
        one = claimed(ledger, reoffered(ledger, first.id))
        ledger.conclude(one, CONCLUSIONS[1])
        two = claimed(ledger, reoffered(ledger, first.id, SECOND))
        ledger.cancel(first.id, "ada")
        ledger.conclude(two, SUCCESS)

        kinds = [event.kind for event in ledger.events(first.id)]

        assert kinds == [
            *("dispatch", "offer", "claim", "retry"),
            *("offer", "claim", "cancel_request", "succeed"),
        ]
        expect_sound_history(ledger, first.id)

    def test_a_history_holds_the_hand_overs(self, ledger: Ledger) -> None:
        """From which engine to which, and why."""
        claim = started(ledger)

        reoffered(ledger, claim.job_id, SECOND)

        event = ledger.events(claim.job_id)[-1]
        assert (event.kind, event.epoch, event.state) == ("recover", 2, JobState.OFFERED)
        assert event.detail == {"engine": SECOND, "from": "first", "reason": "a test"}
        expect_sound_history(ledger, claim.job_id)

    def test_a_transition_that_lost_is_no_event(self, ledger: Ledger) -> None:
        """Only what happened is recorded."""
        seen = offered(ledger)
        claimed(ledger, seen)

        ledger.offer(seen, plan())
        ledger.park(seen, LONG, "too late")

        assert [event.kind for event in ledger.events(seen.id)] == ["dispatch", "claim"]

    def test_the_history_of_one_job_holds_nothing_of_another(self, ledger: Ledger) -> None:
        """Each is numbered from one."""
        started(ledger)
        other = started(ledger)
        ledger.record(other, step())

        expect_sound_history(ledger, other.job_id)
        assert {event.job_id for event in ledger.events(other.job_id)} == {other.job_id}

    def test_a_long_life_reads_soundly(self, ledger: Ledger) -> None:
        """Through every way back to an engine there is."""
        job = offered(ledger)
        ledger.park(job, LONG, "no engine took it")
        for conclusion in (CONCLUSIONS[1], CONCLUSIONS[3], CONCLUSIONS[5], CONCLUSIONS[6]):
            ledger.conclude(claimed(ledger, reoffered(ledger, job.id)), conclusion)
        reoffered(ledger, job.id)
        claimed(ledger, reoffered(ledger, job.id, SECOND))
        last = claimed(ledger, reoffered(ledger, job.id))
        ledger.conclude(last, SUCCESS)

        expect_sound_history(ledger, job.id)
        over = ledger.get(job.id)
        assert (over.claims, over.errors, over.crashes, over.releases) == (6, 1, 2, 1)
        assert (over.handoffs, over.epoch) == (2, last.epoch)

    def test_times_are_aware(self, ledger: Ledger) -> None:
        """In UTC, and in order."""
        claim = ended(ledger, JobState.SUCCEEDED)

        job = ledger.get(claim.job_id)

        times = [job.created_at, job.started_at, job.finished_at]
        times += [event.at for event in ledger.events(job.id)]
        assert all(moment is not None and moment.utcoffset() is not None for moment in times)
