# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about jobs under limits: no more of them than may, and none left out."""

from datetime import timedelta
from functools import partial

from failsoft.job_engine.errors import JobDeferredError
from failsoft.job_engine.policies.limits import NO_LIMITS, Limit, Limits
from failsoft.job_engine.policies.uniqueness import hashed
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, JobRecord
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    FAILURE,
    FIRST,
    LONG,
    MOMENT,
    SUCCESS,
    PassTime,
    claimed,
    expect_sound_history,
    new_job,
    offered,
    plan,
    raises,
    reoffered,
    taken_over,
    ticket,
    waiting,
)
from failsoft.testing.ledger_suite.races import CROWD, at_once


def limit(name: str, most: int, period: timedelta | None = None) -> Limit:
    """Return a limit whose key is a hash, as every key is."""
    return Limit(hashed(name), most, period)


NOW = timedelta(0)
ONE = Limits(limit("one", 1))
TWO = Limits(limit("two", 2))
HOURLY = Limits(rate=limit("hourly", 2, LONG))
SOON = Limits(rate=limit("soon", 1, 10 * MOMENT))


class LimitPromises:
    """Limits: the claim decides (I12), and only jobs with room are due."""

    def test_no_more_jobs_of_a_key_run_than_may(self, ledger: Ledger) -> None:
        """A later claim is deferred: its job is scheduled and due, and its message void."""
        for _ in range(2):
            claimed(ledger, offered(ledger, limits=TWO))
        third = offered(ledger, limits=TWO)

        shown = ticket(third)
        assert raises(JobDeferredError, lambda: ledger.claim(shown))

        after, events = ledger.get(third.id), ledger.events(third.id)
        assert (after.state, after.claims, after.pickup_by) == (JobState.SCHEDULED, 0, None)
        assert after.run_at is not None
        assert events[-1].kind == "defer"
        assert events[-1].detail["reason"] == "concurrency: 2 of 2 run"
        assert ledger.claim(shown) is None
        expect_sound_history(ledger, third.id)

    def test_other_keys_and_jobs_without_limits_have_their_own_room(self, ledger: Ledger) -> None:
        """Only what shares the key is in the way."""
        claimed(ledger, offered(ledger, limits=ONE))

        claimed(ledger, offered(ledger, limits=Limits(limit("another", 1))))
        claimed(ledger, offered(ledger))

    def test_the_end_of_an_attempt_leaves_room(self, ledger: Ledger) -> None:
        """However it ends, also where the job sleeps or is tried again later."""
        for conclusion in CONCLUSIONS:
            claim = claimed(ledger, offered(ledger, limits=ONE))
            ledger.conclude(claim, conclusion)

        assert claimed(ledger, offered(ledger, limits=ONE)).is_limited

    def test_it_reports_how_much_of_the_room_is_taken(self, ledger: Ledger) -> None:
        """By jobs that run, and by attempts that began; not by those that wait."""
        both = Limits(TWO.concurrency, HOURLY.rate)
        claim = claimed(ledger, offered(ledger, limits=both))
        offered(ledger, limits=both)

        assert [(use.taken, use.is_full) for use in ledger.limit_uses(both)] == [(1, False)] * 2
        ledger.conclude(claim, SUCCESS)
        assert [use.taken for use in ledger.limit_uses(both)] == [0, 1]
        assert not ledger.limit_uses(NO_LIMITS)

    def test_a_lost_attempt_leaves_room_when_its_job_is_handed_over(self, ledger: Ledger) -> None:
        """And takes it again by its next claim."""
        claim = claimed(ledger, offered(ledger, limits=ONE))
        other = offered(ledger, limits=ONE)

        taken_over(ledger, claim)

        assert raises(JobDeferredError, lambda: ledger.claim(ticket(other)))

    def test_a_claim_whose_reply_was_lost_is_answered_again(self, ledger: Ledger) -> None:
        """It holds its room already (R13), and is counted once."""
        limits = Limits(ONE.concurrency, HOURLY.rate)
        shown = ticket(offered(ledger, limits=limits))

        first = ledger.claim(shown)

        assert ledger.claim(shown) == first
        assert first is not None
        ledger.conclude(first, SUCCESS)
        claimed(ledger, offered(ledger, limits=HOURLY))

    def test_no_more_attempts_of_a_key_begin_within_a_period_than_may(self, ledger: Ledger) -> None:
        """Those that have ended count, retries count, and it says until when."""
        claim = claimed(ledger, offered(ledger, limits=HOURLY))
        ledger.conclude(claim, CONCLUSIONS[1])
        again = claimed(ledger, reoffered(ledger, claim.job_id))
        ledger.conclude(again, SUCCESS)
        third = offered(ledger, limits=HOURLY)

        assert raises(JobDeferredError, lambda: ledger.claim(ticket(third)))

        after, began = ledger.get(third.id), ledger.attempts(claim.job_id)[0].started_at
        assert (after.state, after.run_at) == (JobState.SCHEDULED, began + LONG)
        assert ledger.events(third.id)[-1].detail["reason"] == "rate: 2 of 2 began within 1:00:00"

    def test_a_period_passes(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Then there is room again."""
        claimed(ledger, offered(ledger, limits=SOON))
        job = offered(ledger, limits=SOON)
        assert raises(JobDeferredError, lambda: ledger.claim(ticket(job)))
        assert job.id not in _due(ledger)

        pass_time(10 * MOMENT)

        assert job.id in _due(ledger)
        claimed(ledger, reoffered(ledger, job.id))

    def test_only_those_are_due_that_there_is_room_for(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The oldest of them; those that are offered have their place already."""
        offered(ledger, limits=TWO)
        jobs = []
        for _ in range(3):
            jobs.append(waiting(ledger, NOW, limits=TWO))
            pass_time(MOMENT)
        free = waiting(ledger, NOW)

        assert _due(ledger) == {jobs[0].id, free.id}

        claim = claimed(ledger, reoffered(ledger, jobs[0].id))
        assert _due(ledger) == {free.id}
        ledger.conclude(claim, SUCCESS)
        assert _due(ledger) == {jobs[1].id, free.id}

    def test_the_most_urgent_gets_the_room(self, ledger: Ledger) -> None:
        """Before those that have waited longer."""
        waiting(ledger, NOW, limits=ONE)
        urgent = waiting(ledger, NOW, limits=ONE, priority=5)

        assert _due(ledger) == {urgent.id}

    def test_jobs_of_a_full_key_hide_no_others(self, ledger: Ledger) -> None:
        """However many they are, and whichever of two limits is in their way."""
        everybody = limit("everybody", 2)
        tenants = [Limits(everybody, limit(f"rate-{n}", 1, LONG)) for n in range(2)]
        ledger.conclude(claimed(ledger, offered(ledger, limits=tenants[0])), SUCCESS)
        for _ in range(5):
            waiting(ledger, NOW, limits=tenants[0])
        other = waiting(ledger, NOW, limits=tenants[1])

        assert [job.id for job in ledger.due(1)] == [other.id]

    def test_a_full_concurrency_key_does_not_use_up_a_rate(self, ledger: Ledger) -> None:
        """Another job of that rate is found, though more urgent ones wait for their key."""
        rate = limit("everybody", 2, LONG)
        claimed(ledger, offered(ledger, limits=Limits(limit("a", 1))))
        for _ in range(5):
            waiting(ledger, NOW, limits=Limits(limit("a", 1), rate))
        other = waiting(ledger, NOW, limits=Limits(limit("b", 1), rate))

        assert _due(ledger) == {other.id}

    def test_an_offer_may_require_room(self, ledger: Ledger) -> None:
        """It is refused where there is none, and where others have waited longer for it."""
        for limits in (ONE, SOON):
            first, second = (waiting(ledger, NOW, limits=limits) for _ in range(2))
            if_room = OfferPlan(FIRST, LONG, "room", if_room=True)

            assert ledger.offer(second, if_room) is None
            moved = ledger.offer(first, plan())
            assert moved is not None
            assert ledger.offer(second, if_room) is None
            ledger.cancel(first.id, "ada")
            assert ledger.offer(second, if_room) is not None

    def test_a_crowd_of_claims_gets_the_room_there_is(self, ledger: Ledger) -> None:
        """Each looks before the others have committed, and yet no more begin than may."""
        for turn in range(3):
            key = Limits(limit(f"crowd-{turn}", 2), limit(f"rate-{turn}", 3, LONG))
            jobs = [offered(ledger, limits=key) for _ in range(CROWD)]

            claims = at_once([partial(_try, ledger, job) for job in jobs])

            assert len([each for each in claims if each]) == 2  # noqa: PLR2004 - the limit
            states = [ledger.get(job.id).state for job in jobs]
            assert states.count(JobState.RUNNING) == 2  # noqa: PLR2004 - the limit
            assert states.count(JobState.SCHEDULED) == CROWD - 2

    def test_limits_go_with_the_work(self, ledger: Ledger) -> None:
        """They are its new payload's where a job is replaced, and kept where it is tried again."""
        both = Limits(ONE.concurrency, HOURLY.rate)
        job = waiting(ledger, LONG, limits=both)
        assert ledger.get(job.id).limits == both
        for limits in (TWO, NO_LIMITS):
            replaced = ledger.replace(ledger.get(job.id), new_job(limits=limits, delay=LONG))
            assert replaced is not None
            assert replaced.limits == limits

        failed = claimed(ledger, offered(ledger, limits=both))
        ledger.conclude(failed, FAILURE)
        kept, _ = ledger.retry(ManualRetry(failed.job_id, "ada"))
        other, _ = ledger.retry(ManualRetry(failed.job_id, "ada", payload="{}", limits=TWO))
        assert (kept.limits, other.limits) == (both, TWO)


def _due(ledger: Ledger) -> set[str]:
    return {job.id for job in ledger.due(10)}


def _try(ledger: Ledger, job: JobRecord) -> Claim | None:
    try:
        return ledger.claim(ticket(job))
    except JobDeferredError:
        return None
