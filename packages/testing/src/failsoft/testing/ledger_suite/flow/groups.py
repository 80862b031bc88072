# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about groups and their completion jobs."""

import json
import secrets
from dataclasses import replace
from functools import partial

from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    GroupNotFoundError,
    IdempotencyConflictError,
)
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.follow_ups import FollowUps, OnFailureJob
from failsoft.job_engine.records.groups import WHOLE, GroupRecord, member_id
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import SUCCESS, expect_sound_history, new_job, raises
from failsoft.testing.ledger_suite.flow.chains import due, group, members, run, running
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once


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

    def test_a_completion_that_requires_success_is_cancelled_without(self, ledger: Ledger) -> None:
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
        """No job that could start it ends afterwards."""
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

    def test_a_group_does_not_take_the_jobs_of_others_for_its_own(self, ledger: Ledger) -> None:
        """They would never be counted, or would start jobs of another group; nothing is stored."""
        for is_member in (True, False):
            own = secrets.token_hex(8)
            done = new_job(id=f"{own}-completion", name="done", waits_for=own)
            new = GroupRecord(own, "5ad1", "all_ended", done.id, WHOLE, sealed=True)
            taken = new_job(id=member_id(own, 1) if is_member else done.id)
            ledger.record_job(taken, None)
            before = {job.id for job in ledger.list_jobs()}

            dispatch = partial(ledger.record_group, new, done, members(own, 3))
            assert raises(DuplicateDispatchError, dispatch)

            assert raises(GroupNotFoundError, partial(ledger.group, own))
            assert {job.id for job in ledger.list_jobs()} == before

    def test_a_group_of_which_jobs_are_gone_is_not_dispatched_again(self, ledger: Ledger) -> None:
        """Once all are recorded it is the same group, and takes no other jobs."""
        made = group(ledger, 2)

        again = ledger.record_group(made, None, members(made.id, 5))

        assert (again.total, again.sealed) == (made.total, True)

    def test_a_job_that_does_the_work_again_is_not_counted(self, ledger: Ledger) -> None:
        """It keeps the follow-ups of the job it comes from, and the group has counted that one."""
        made = group(ledger, 2)
        run(ledger, member_id(made.id, 0), JobState.FAILED)
        ledger.record_job(new_job(id="again", follow_ups=FollowUps(group=made.id).text), None)

        run(ledger, "again")

        assert ledger.group(made.id).ended == 1
        assert due(ledger) == [member_id(made.id, 1)]

    def test_a_group_that_is_not_there_is_an_error(self, ledger: Ledger) -> None:
        """It names the id."""
        assert raises(GroupNotFoundError, partial(ledger.group, "missing"))

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
        follow_ups = FollowUps(OnFailureJob("report_failure", "default"), group=own).text
        job = new_job(id=member_id(own, 0), follow_ups=follow_ups)
        ledger.record_group(GroupRecord(own, "5ad1", "all_ended", sealed=True), None, [job])

        run(ledger, job.id, JobState.FAILED)

        assert ledger.group(own).failed == 1
        assert len(ledger.list_jobs(name="report_failure")) == 1
