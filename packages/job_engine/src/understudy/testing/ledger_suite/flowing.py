# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about jobs that wait for others: chains and groups."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from understudy.job_engine.errors import (
    DuplicateDispatchError,
    GroupNotFoundError,
    IdempotencyConflictError,
)
from understudy.job_engine.groups import WHOLE, GroupRecord, When, member_id
from understudy.job_engine.ports import Ledger
from understudy.job_engine.records import Claim, Conclusion, JobRecord
from understudy.job_engine.requests import NewJob
from understudy.job_engine.sequel import Hook, Sequel, Successor
from understudy.job_engine.states import SUSPEND, JobState
from understudy.testing.ledger_suite.racing import CROWD, ROUNDS, at_once, both
from understudy.testing.ledger_suite.scene import (
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

SENT = {"sent": True}


def links(length: int = 3, field: str | None = None, hook: Hook | None = None) -> list[NewJob]:
    """Return the jobs of a chain that nobody has recorded yet."""
    own = secrets.token_hex(8)
    ids = [f"{own}-{n}" for n in range(length)]
    return [
        new_job(
            id=ids[n],
            sequel=Sequel(hook, Successor(ids[n + 1], field) if n + 1 < length else None).text,
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
    sequel = Sequel(group=group_id).text
    return [new_job(id=member_id(group_id, n), sequel=sequel) for n in range(count)]


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
        ledger.cancel(job_id, "somebody")
    assert ledger.conclude(claim, ENDINGS[state]) is state


def states(ledger: Ledger, jobs: Sequence[JobRecord]) -> list[JobState]:
    """Return the states of jobs now."""
    return [ledger.get(job.id).state for job in jobs]


def due(ledger: Ledger) -> list[str]:
    """Return the ids of the jobs that may start."""
    return [job.id for job in ledger.due(100)]


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

        ledger.cancel(second.id, "somebody")
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

    def test_a_waiting_job_and_the_end_before_it_agree_on_a_cancel(self, ledger: Ledger) -> None:
        """Cancelled while it waits or the moment after; it never runs."""
        for _ in range(ROUNDS):
            first, second = chain(ledger, 2)
            claim = claimed(ledger, first)

            both(
                partial(ledger.conclude, claim, SUCCESS),
                partial(ledger.cancel, second.id, "somebody"),
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


class GroupPromises:
    """`record_group`: the completion job starts once, when all have ended."""

    def test_a_group_counts_how_its_jobs_end(self, ledger: Ledger) -> None:
        """Each once."""
        made = group(ledger, 4)
        ends = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)

        for place, state in enumerate(ends):
            run(ledger, member_id(made.id, place), state)

        now = ledger.group(made.id)
        assert (now.total, now.succeeded, now.failed, now.cancelled) == (4, 1, 1, 1)
        assert not now.is_over
        assert due(ledger) == [member_id(made.id, 3)]

    def test_the_completion_job_starts_when_all_have_ended(self, ledger: Ledger) -> None:
        """With how they ended."""
        made = group(ledger, 2)
        run(ledger, member_id(made.id, 0), JobState.FAILED)
        run(ledger, member_id(made.id, 1))

        assert due(ledger) == [made.completion_id]
        done = ledger.get(str(made.completion_id))
        assert json.loads(done.payload) == {
            "group_id": made.id,
            "total": 2,
            "succeeded": 1,
            "failed": 1,
            "cancelled": 0,
        }
        run(ledger, done.id)
        expect_sound_history(ledger, done.id)

    def test_a_completion_that_asks_for_success_is_cancelled_without(self, ledger: Ledger) -> None:
        """And says how many did not succeed."""
        good, bad = group(ledger, 2, "all_succeeded"), group(ledger, 2, "all_succeeded")
        for made, state in ((good, JobState.SUCCEEDED), (bad, JobState.CANCELLED)):
            run(ledger, member_id(made.id, 0), state)
            run(ledger, member_id(made.id, 1))

        assert due(ledger) == [good.completion_id]
        assert ledger.get(str(bad.completion_id)).state is JobState.CANCELLED
        last = ledger.events(str(bad.completion_id))[-1]
        assert last.detail["reason"] == "1 of 2 jobs of the group did not succeed"

    def test_the_completion_job_waits_until_all_are_recorded(self, ledger: Ledger) -> None:
        """Though all that are there have ended."""
        first = group(ledger, 2, sealed=False)
        for job in members(first.id, 2):
            run(ledger, job.id)
        assert not due(ledger)

        rest = members(first.id, 3)[2:]
        ledger.record_group(replace(first, sealed=True), None, rest)
        assert due(ledger) == [rest[0].id]
        run(ledger, rest[0].id)

        assert due(ledger) == [first.completion_id]

    def test_a_group_whose_jobs_ended_before_it_was_sealed_completes_then(
        self, ledger: Ledger
    ) -> None:
        """Nobody ends afterwards who could start it."""
        made = group(ledger, 2, sealed=False)
        for job in members(made.id, 2):
            run(ledger, job.id)

        over = ledger.record_group(replace(made, sealed=True), None, members(made.id, 2))

        assert (over.total, over.is_over) == (2, True)
        assert due(ledger) == [made.completion_id]

    def test_a_group_is_recorded_once(self, ledger: Ledger) -> None:
        """However often it is dispatched, also when it is over."""
        made = group(ledger, 2)
        again = replace(made, total=0)
        ledger.record_group(again, None, members(made.id, 2))
        for job in members(made.id, 2):
            run(ledger, job.id)
        run(ledger, str(made.completion_id))

        ledger.record_group(again, None, members(made.id, 2))

        assert ledger.group(made.id).total == len(members(made.id, 2))
        assert not due(ledger)

    def test_another_group_of_the_same_id_is_refused(self, ledger: Ledger) -> None:
        """Nothing of it is recorded."""
        made = group(ledger, 2)
        other = replace(made, sha="other")

        refused = raises(
            IdempotencyConflictError,
            partial(ledger.record_group, other, None, members(made.id, 9)),
        )

        assert refused
        assert ledger.group(made.id).total == len(members(made.id, 2))

    def test_a_job_that_does_the_work_again_is_not_counted(self, ledger: Ledger) -> None:
        """It keeps the sequel of the job it comes from, and the group has counted that one."""
        made = group(ledger, 2)
        run(ledger, member_id(made.id, 0), JobState.FAILED)
        ledger.record_job(new_job(id="again", sequel=Sequel(group=made.id).text), None)

        run(ledger, "again")

        assert ledger.group(made.id).ended == 1
        assert due(ledger) == [member_id(made.id, 1)]

    def test_a_group_that_is_not_there_is_an_error(self, ledger: Ledger) -> None:
        """It names the id."""
        assert raises(GroupNotFoundError, partial(ledger.group, "nobody"))

    def test_the_last_two_may_end_at_the_same_moment(self, ledger: Ledger) -> None:
        """One of them sees that all have ended, and only one."""
        for _ in range(ROUNDS):
            made = group(ledger, CROWD)
            claims = [running(ledger, job.id) for job in members(made.id, CROWD)]

            at_once([partial(ledger.conclude, claim, SUCCESS) for claim in claims])

            assert ledger.group(made.id).is_over
            assert due(ledger) == [made.completion_id]
            run(ledger, str(made.completion_id))
            assert ledger.get(str(made.completion_id)).claims == 1

    def test_a_job_may_set_off_a_hook_and_count_in_its_group(self, ledger: Ledger) -> None:
        """All that its end sets off, at once."""
        own = secrets.token_hex(8)
        sequel = Sequel(Hook("tell_somebody", "default"), group=own).text
        job = new_job(id=member_id(own, 0), sequel=sequel)
        ledger.record_group(GroupRecord(own, "5ad1", "all_ended", sealed=True), None, [job])

        run(ledger, job.id, JobState.FAILED)

        assert ledger.group(own).failed == 1
        assert len(ledger.list_jobs(name="tell_somebody")) == 1
