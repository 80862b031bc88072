# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about the jobs that a failure sets off."""

import json
from collections.abc import Callable
from functools import partial

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.follow_ups import FollowUps, OnFailureJob
from failsoft.job_engine.records.job import Claim, JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ERROR,
    FAILURE,
    SUCCESS,
    claimed,
    is_fenced,
    offered,
    reoffered,
)
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once

HOOK = OnFailureJob(
    "report_failure", "data-sync", priority=7, engines=("second",), tags=("hook",), version=3
)

#: Every way to `failed`, by the name of its transition.
FAILURES: dict[str, Callable[[Ledger, Claim], object]] = {
    "fail": lambda ledger, claim: ledger.conclude(claim, FAILURE),
    "crash_out": lambda ledger, claim: ledger.conclude(claim, CONCLUSIONS[4]),
    "exhaust": lambda ledger, claim: ledger.exhaust(ledger.get(claim.job_id), ERROR),
}


def hooked(ledger: Ledger, hook: OnFailureJob = HOOK) -> Claim:
    """Claim a job that has a hook."""
    return claimed(ledger, offered(ledger, follow_ups=FollowUps(on_failure=hook).text))


def trigger(ledger: Ledger) -> list[JobRecord]:
    """Return the jobs of the hook."""
    return list(ledger.list_jobs(name=HOOK.name))


class FollowUpPromises:
    """`on_failure`: one job of the hook for each job that failed, in the same transaction."""

    def test_a_failure_sets_off_one_job_however_it_came_about(self, ledger: Ledger) -> None:
        """By the handler, by a process that died, by a lease that was lost."""
        for transition, fail in FAILURES.items():
            claim = hooked(ledger)
            before = {job.id for job in trigger(ledger)}

            fail(ledger, claim)

            assert ledger.events(claim.job_id)[-1].kind == transition
            (hook,) = [job for job in trigger(ledger) if job.id not in before]
            failure = json.loads(hook.payload)
            assert (failure["job_id"], failure["name"]) == (claim.job_id, "send_welcome")
            assert (failure["payload"], failure["attempts"]) == ({"user_id": 7}, 1)
            assert (failure["error_type"], failure["error_message"]) == (ERROR.type, ERROR.message)

    def test_the_job_of_a_hook_is_due_at_once_where_the_hook_says(self, ledger: Ledger) -> None:
        """With the queue, engines, priority and version that the hook declares."""
        ledger.conclude(hooked(ledger), FAILURE)

        (hook,) = trigger(ledger)

        assert [job.id for job in ledger.due(10)] == [hook.id]
        assert (hook.state, hook.queue, hook.priority) == (JobState.SCHEDULED, "data-sync", 7)
        assert (hook.engines, hook.tags, hook.follow_ups) == (("second",), ("hook",), None)
        assert hook.version == HOOK.version
        assert [event.kind for event in ledger.events(hook.id)] == ["dispatch"]

    def test_nothing_else_sets_it_off(self, ledger: Ledger) -> None:
        """Not a success, a retry, a cancel, nor what waits for a person."""
        for conclusion in (SUCCESS, *CONCLUSIONS[1:2], *CONCLUSIONS[5:]):
            ledger.conclude(hooked(ledger), conclusion)
        ledger.cancel(offered(ledger, follow_ups=FollowUps(on_failure=HOOK).text).id, "a person")

        assert not trigger(ledger)

    def test_a_repeated_conclusion_sets_off_no_other(self, ledger: Ledger) -> None:
        """As a worker does that lost the reply."""
        claim = hooked(ledger)

        for _ in range(3):
            ledger.conclude(claim, FAILURE)

        assert len(trigger(ledger)) == 1

    def test_an_attempt_that_lost_its_job_sets_off_nothing(self, ledger: Ledger) -> None:
        """It can record no failure."""
        claim = hooked(ledger)
        reoffered(ledger, claim.job_id)

        assert is_fenced(partial(ledger.conclude, claim, FAILURE))
        assert not trigger(ledger)

    def test_the_job_of_a_hook_has_the_hook_that_it_declares_itself(self, ledger: Ledger) -> None:
        """And no other: a hook that fails calls itself no more."""
        ledger.conclude(hooked(ledger, OnFailureJob("first", "default", on_failure=HOOK)), FAILURE)
        (first,) = ledger.list_jobs(name="first")

        ledger.conclude(claimed(ledger, reoffered(ledger, first.id)), FAILURE)
        (second,) = trigger(ledger)
        ledger.conclude(claimed(ledger, reoffered(ledger, second.id)), FAILURE)

        assert json.loads(second.payload)["job_id"] == first.id
        assert len(ledger.list_jobs()) == len({first.id, second.id, "the one that failed"})

    def test_a_crowd_that_fails_a_job_sets_off_one(self, ledger: Ledger) -> None:
        """A worker and rescuers at the same moment; the write that wins records the hook."""
        for turn in range(1, ROUNDS + 1):
            claim = hooked(ledger)
            seen = ledger.get(claim.job_id)

            at_once(
                [
                    partial(is_fenced, partial(ledger.conclude, claim, FAILURE)),
                    *[partial(_exhausted, ledger, seen)] * (CROWD - 1),
                ]
            )

            assert ledger.get(claim.job_id).state is JobState.FAILED
            assert len(trigger(ledger)) == turn


def _exhausted(ledger: Ledger, seen: JobRecord) -> bool:
    return ledger.exhaust(seen, ERROR) is not None
