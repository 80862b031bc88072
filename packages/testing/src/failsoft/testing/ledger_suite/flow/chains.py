# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about chains of jobs."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    JobNotFoundError,
    OptionInvalidError,
)
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.follow_ups import (
    MAX_WAITING,
    FollowUps,
    NextJob,
    OnFailureJob,
)
from failsoft.job_engine.records.groups import WHOLE, GroupRecord, When, member_id
from failsoft.job_engine.records.job import Claim, Conclusion, JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import SUSPEND, JobState
from failsoft.testing.ledger_suite.fixtures import (
    ENDINGS,
    FAILURE,
    SUCCESS,
    claimed,
    expect_sound_history,
    new_job,
    plan,
    raises,
    reoffered,
)
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once, both

SENT = {"sent": True}


def links(
    length: int = 3, field: str | None = None, hook: OnFailureJob | None = None
) -> list[NewJob]:
    """Return the jobs of a chain that is not recorded yet."""
    own = secrets.token_hex(8)
    ids = [f"{own}-{n}" for n in range(length)]
    return [
        new_job(
            id=ids[n],
            follow_ups=FollowUps(hook, NextJob(ids[n + 1], field) if n + 1 < length else None).text,
            waits_for=ids[n - 1] if n else None,
        )
        for n in range(length)
    ]


def chain(ledger: Ledger, length: int = 3, field: str | None = None) -> Sequence[JobRecord]:
    """Record a chain whose first job is offered."""
    jobs, created = ledger.record_chain(links(length, field), plan())
    assert created
    return jobs


def members(group_id: str, count: int) -> list[NewJob]:
    """Return the jobs of a group."""
    follow_ups = FollowUps(group=group_id).text
    return [new_job(id=member_id(group_id, n), follow_ups=follow_ups) for n in range(count)]


def group(
    ledger: Ledger, count: int = 3, when: When = "all_ended", *, sealed: bool = True
) -> GroupRecord:
    """Record a group with a completion job."""
    own = secrets.token_hex(8)
    done = new_job(id=f"{own}-completion", name="done", waits_for=own)
    new = GroupRecord(own, "5ad1", when, done.id, WHOLE, sealed=sealed)
    return ledger.record_group(new, done, members(own, count))


def running(ledger: Ledger, job_id: str) -> Claim:
    """Offer and claim a job that waits for nothing."""
    return claimed(ledger, reoffered(ledger, job_id))


def run(ledger: Ledger, job_id: str, state: JobState = JobState.SUCCEEDED) -> None:
    """Run a job that waits for nothing to its end."""
    claim = running(ledger, job_id)
    if state is JobState.CANCELLED:
        ledger.cancel(job_id, "ada")
    assert ledger.conclude(claim, ENDINGS[state]) is state


def states(ledger: Ledger, jobs: Sequence[JobRecord]) -> list[JobState]:
    """Return the states of jobs now."""
    return [ledger.get(job.id).state for job in jobs]


def due(ledger: Ledger) -> list[str]:
    """Return the ids of the jobs that may start."""
    return [job.id for job in ledger.due(100)]


def _offered(ledger: Ledger) -> JobRecord:
    job, _ = ledger.record_job(new_job(), plan())
    return job


def _after(ledger: Ledger, job_id: str, length: int) -> Sequence[JobRecord]:
    """Record a chain that begins after a job."""
    jobs = links(length)
    recorded, created = ledger.record_chain([replace(jobs[0], waits_for=job_id), *jobs[1:]], plan())
    assert created
    return recorded


class ChainPromises:
    """`record_chain`: each job starts when the one before it succeeded, and once."""

    def test_a_chain_is_recorded_and_only_its_first_job_may_start(self, ledger: Ledger) -> None:
        """The others wait for no time."""
        first, second, third = chain(ledger)

        assert first.state is JobState.OFFERED
        assert states(ledger, [second, third]) == [JobState.SCHEDULED] * 2
        assert [ledger.get(job.id).run_at for job in (second, third)] == [None, None]
        assert [second.waits_for, third.waits_for] == [first.id, second.id]
        assert not due(ledger)

    def test_a_job_starts_when_the_one_before_it_succeeded(self, ledger: Ledger) -> None:
        """One after the other, in the transaction of that success."""
        first, second, third = chain(ledger)
        waiting = {second.id: [second.id], third.id: [third.id]}

        ledger.conclude(claimed(ledger, first), SUCCESS)
        assert due(ledger) == waiting[second.id]
        run(ledger, second.id)
        assert due(ledger) == waiting[third.id]
        run(ledger, third.id)

        assert states(ledger, [first, second, third]) == [JobState.SUCCEEDED] * 3
        assert not due(ledger)
        for job in (first, second, third):
            expect_sound_history(ledger, job.id)

    def test_the_result_before_it_is_put_into_the_payload(self, ledger: Ledger) -> None:
        """Into the field that was named; the rest stays."""
        first, second = chain(ledger, 2, field="report")

        ledger.conclude(claimed(ledger, first), SUCCESS)

        assert json.loads(ledger.get(second.id).payload) == {"user_id": 7, "report": SENT}
        assert ledger.get(second.id).payload_sha == second.payload_sha

    def test_a_retry_starts_nothing(self, ledger: Ledger) -> None:
        """Nor a sleep, nor what is held: the job has not ended."""
        first, _ = chain(ledger, 2)

        ledger.conclude(claimed(ledger, first), Conclusion(SUSPEND))

        assert due(ledger) == [first.id]

    def test_what_comes_after_a_failure_is_cancelled_and_says_why(self, ledger: Ledger) -> None:
        """All of it, in the same transaction."""
        first, second, third = chain(ledger)

        ledger.conclude(claimed(ledger, first), FAILURE)

        cancelled = JobState.CANCELLED
        assert states(ledger, [first, second, third]) == [JobState.FAILED, cancelled, cancelled]
        for job, before in ((second, first), (third, second)):
            last = ledger.events(job.id)[-1]
            assert last.kind == "cancel"
            assert before.id in last.detail["reason"]
            expect_sound_history(ledger, job.id)

    def test_what_comes_after_a_cancelled_job_is_cancelled(self, ledger: Ledger) -> None:
        """Whether it ran or waited; what came before goes on."""
        first, second, third = chain(ledger)

        ledger.cancel(second.id, "ada")
        ledger.conclude(claimed(ledger, first), SUCCESS)

        ends = [JobState.SUCCEEDED, JobState.CANCELLED, JobState.CANCELLED]
        assert states(ledger, [first, second, third]) == ends
        assert not due(ledger)

    def test_a_chain_is_recorded_once(self, ledger: Ledger) -> None:
        """The same ids, the same chain."""
        jobs = links()
        first, _ = ledger.record_chain(jobs, plan())

        again, created = ledger.record_chain(jobs, plan())

        assert not created
        assert [job.id for job in again] == [job.id for job in first]
        assert len(ledger.list_jobs()) == len(jobs)

    def test_a_chain_with_an_id_that_is_taken_is_not_recorded_at_all(self, ledger: Ledger) -> None:
        """All of it or nothing."""
        taken = new_job()
        ledger.record_job(taken, plan())
        one, two, three = links()
        three = replace(three, id=taken.id)

        refused = raises(
            DuplicateDispatchError, partial(ledger.record_chain, [one, two, three], plan())
        )

        assert refused
        assert [job.id for job in ledger.list_jobs()] == [taken.id]

    def test_a_chain_begins_after_a_job_that_was_recorded_before(self, ledger: Ledger) -> None:
        """Not while that one runs; in the transaction that lets it succeed; each of several."""
        before = _offered(ledger)
        behind = [_after(ledger, before.id, 2) for _ in range(2)]
        waited_for = [each.waits_for for chain in behind for each in chain]
        assert waited_for == [before.id, behind[0][0].id, before.id, behind[1][0].id]
        claim = claimed(ledger, before)
        assert not due(ledger)

        ledger.conclude(claim, SUCCESS)

        assert sorted(due(ledger)) == sorted(each[0].id for each in behind)
        run(ledger, behind[0][0].id)
        assert behind[0][1].id in due(ledger)
        expect_sound_history(ledger, behind[0][0].id)

    def test_a_chain_after_a_job_that_has_succeeded_is_offered(self, ledger: Ledger) -> None:
        """As one that waits for nothing."""
        before = _offered(ledger)
        ledger.conclude(claimed(ledger, before), SUCCESS)

        first, second = _after(ledger, before.id, 2)

        assert (first.state, first.waits_for) == (JobState.OFFERED, None)
        assert (second.state, second.waits_for) == (JobState.SCHEDULED, first.id)

    def test_a_chain_after_a_job_that_ends_otherwise_is_cancelled(self, ledger: Ledger) -> None:
        """All of it, whether that job ends later or has ended."""
        before = _offered(ledger)
        early = _after(ledger, before.id, 2)

        ledger.conclude(claimed(ledger, before), FAILURE)

        late = _after(ledger, before.id, 2)
        assert states(ledger, [*early, *late]) == [JobState.CANCELLED] * 4
        reasons = {
            each.detail.get("reason")
            for job in (early[0], late[0])
            for each in ledger.events(job.id)
        }
        assert f"job {before.id}, which it waited for, failed" in reasons
        for job in (*early, *late):
            expect_sound_history(ledger, job.id)

    def test_a_chain_after_a_job_is_recorded_once(self, ledger: Ledger) -> None:
        """A repeated call changes nothing, before and after that job's end."""
        before = _offered(ledger)
        jobs = links(2)
        jobs[0] = replace(jobs[0], waits_for=before.id)
        ledger.record_chain(jobs, plan())

        _, again = ledger.record_chain(jobs, plan())
        ledger.conclude(claimed(ledger, before), SUCCESS)
        found, once_more = ledger.record_chain(jobs, plan())

        assert (again, once_more) == (False, False)
        assert [each.state for each in found] == [JobState.SCHEDULED] * 2
        assert due(ledger) == [jobs[0].id]

    def test_a_chain_after_no_job_is_not_recorded(self, ledger: Ledger) -> None:
        """Nothing would ever start it."""
        jobs = links(2)
        jobs[0] = replace(jobs[0], waits_for="nowhere")

        assert raises(JobNotFoundError, partial(ledger.record_chain, jobs, plan()))
        assert not ledger.list_jobs()

    def test_no_more_jobs_wait_for_one_than_its_row_holds(self, ledger: Ledger) -> None:
        """One too many is refused, and not recorded."""
        full = FollowUps(waiting=tuple(f"job-{n}" for n in range(MAX_WAITING)))
        before, _ = ledger.record_job(new_job(follow_ups=full.text), plan())
        jobs = links(1)
        jobs[0] = replace(jobs[0], waits_for=before.id)

        assert raises(OptionInvalidError, partial(ledger.record_chain, jobs, plan()))
        assert [job.id for job in ledger.list_jobs()] == [before.id]

    def test_a_chain_and_the_end_of_the_job_before_it_do_not_miss_each_other(
        self, ledger: Ledger
    ) -> None:
        """Whichever commits first, the chain starts."""
        for _ in range(ROUNDS):
            before = _offered(ledger)
            claim = claimed(ledger, before)
            jobs = links(1)
            jobs[0] = replace(jobs[0], waits_for=before.id)

            both(partial(ledger.record_chain, jobs, None), partial(ledger.conclude, claim, SUCCESS))

            assert ledger.get(jobs[0].id).waits_for is None
            assert jobs[0].id in due(ledger)

    def test_a_waiting_job_and_the_end_before_it_agree_on_a_cancel(self, ledger: Ledger) -> None:
        """Cancelled while it waits or the moment after; it never runs."""
        for _ in range(ROUNDS):
            first, second = chain(ledger, 2)
            claim = claimed(ledger, first)

            both(
                partial(ledger.conclude, claim, SUCCESS),
                partial(ledger.cancel, second.id, "ada"),
            )

            assert states(ledger, [first, second]) == [JobState.SUCCEEDED, JobState.CANCELLED]
            expect_sound_history(ledger, second.id)

    def test_a_conclusion_that_is_repeated_starts_one_job(self, ledger: Ledger) -> None:
        """By a crowd, as when replies are lost."""
        for _ in range(ROUNDS):
            first, second = chain(ledger, 2)
            claim = claimed(ledger, first)

            at_once([partial(ledger.conclude, claim, SUCCESS)] * CROWD)

            run(ledger, second.id)
            assert ledger.get(second.id).claims == 1
            assert not due(ledger)
