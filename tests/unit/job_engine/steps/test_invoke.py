"""`ctx.invoke`: another job's result, and what a job that is invoked keeps of its definition."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import (
    Debounce,
    JobContext,
    JobFailure,
    JobState,
    Throttle,
    Unique,
    declare_job,
)
from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    InvokeDepthError,
    JobCancelledError,
    JobFailedError,
)
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.follow_ups import follow_ups_from
from failsoft.job_engine.records.job import Conclusion, Ticket
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import FAIL, SUCCEED, Transition
from failsoft.job_engine.steps.waits import MAX_DEPTH, child_job
from tests.unit.support.attempts import HOUR, AttemptRunner, Mail, define
from tests.unit.support.memory_app import MemoryApp

ADD_UP = define(lambda ctx: 1, name="add-up")
BY_USER = ("user_id",)


def is_due(runner: AttemptRunner) -> bool:
    return runner.job_id in [job.id for job in runner.ledger.due(10)]


def invokes(ctx: JobContext) -> Any:
    return ctx.invoke(ADD_UP, Mail(user_id=3))


def child_of(runner: AttemptRunner) -> Any:
    (child,) = runner.ledger.list_jobs(name="add-up")
    return child


def end_child(runner: AttemptRunner, transition: Transition, **values: Any) -> None:
    child = runner.ledger.offer(child_of(runner), OfferPlan("rq", HOUR))
    assert child is not None
    shown = Ticket(child.id, child.epoch, "rq", child.queue, "c", "worker", HOUR)
    claim = runner.ledger.claim(shown)
    assert claim is not None
    runner.ledger.conclude(claim, Conclusion(transition, **values))


def test_a_job_invokes_another_and_gets_its_result() -> None:
    runner = AttemptRunner(invokes)
    first = runner.run()
    child = child_of(runner)

    end_child(runner, SUCCEED, result="42")

    assert (first, child.state, child.payload) == (
        JobState.SCHEDULED,
        JobState.SCHEDULED,
        '{"user_id":3}',
    )
    assert is_due(runner)
    assert runner.run() is JobState.SUCCEEDED
    assert runner.job.result == "42"


def test_the_other_job_is_dispatched_once() -> None:
    runner = AttemptRunner(invokes)

    assert [runner.run(), runner.run()] == [JobState.SCHEDULED] * 2
    assert len(runner.ledger.list_jobs(name="add-up")) == 1


def test_the_error_of_an_invoked_job_is_raised() -> None:
    seen: list[JobFailedError] = []

    def body(ctx: JobContext) -> str:
        try:
            invokes(ctx)
        except JobFailedError as error:
            seen.append(error)
        return "went on"

    runner = AttemptRunner(body)
    runner.run()
    end_child(runner, FAIL, error=ErrorRecord("KeyError", "'seven'", "Traceback ..."))

    assert runner.run() is JobState.SUCCEEDED
    assert (seen[0].error_type, seen[0].traceback) == ("KeyError", "Traceback ...")


def test_an_invoked_job_that_was_cancelled_has_no_result() -> None:
    runner = AttemptRunner(invokes)
    runner.run()
    runner.ledger.cancel(child_of(runner).id, "me")

    assert is_due(runner)
    with pytest.raises(JobCancelledError):
        invokes(runner.context())


def test_cancelling_a_job_cancels_the_one_it_invoked() -> None:
    runner = AttemptRunner(invokes)
    runner.run()

    runner.ledger.cancel(runner.job_id, "me")

    assert child_of(runner).state is JobState.CANCELLED


def test_jobs_invoke_one_another_only_so_deep() -> None:
    runner = AttemptRunner(invokes)
    row = runner.ledger._store.rows[runner.job_id]
    runner.ledger._store.rows[runner.job_id] = replace(row, depth=MAX_DEPTH)

    with pytest.raises(InvokeDepthError, match="at most 16 deep"):
        invokes(runner.context())


def test_an_invoked_job_is_one_deeper() -> None:
    runner = AttemptRunner(invokes)
    runner.run()

    assert runner.ledger._store.rows[child_of(runner).id].depth == 1


def invoking(**options: Any) -> Callable[[JobContext], Any]:
    """Return a body that invokes a job with these options."""
    job = define(lambda ctx: 1, name="add-up", **options)
    return lambda ctx: ctx.invoke(job, Mail(user_id=3))


def test_an_invoked_job_keeps_its_version_and_its_hook() -> None:
    alarm = declare_job("alarm", payload=JobFailure)
    runner = AttemptRunner(invoking(version=3, on_failure=alarm))
    runner.run()

    child = child_of(runner)

    hook = follow_ups_from(child.follow_ups or "").on_failure
    assert child.version == 3
    assert hook is not None
    assert hook.name == "alarm"


@pytest.mark.parametrize("identity", ["unique", "throttle"])
def test_a_job_whose_key_is_held_is_not_invoked_and_the_job_learns_it(identity: str) -> None:
    policies = {"unique": Unique(by=BY_USER), "throttle": Throttle(by=BY_USER, period=HOUR)}
    options = {identity: policies[identity]}
    runner = AttemptRunner(invoking(**options))
    held = child_job("somebody's", define(lambda ctx: 1, name="add-up", **options), Mail(user_id=3))
    runner.ledger.record_job(held, None)

    assert runner.run() is JobState.SCHEDULED
    assert is_due(runner)
    for _ in range(2):
        with pytest.raises(DuplicateDispatchError, match=held.id):
            invoking(**options)(runner.context())
    assert [job.id for job in runner.ledger.list_jobs(name="add-up")] == [held.id]


def test_a_unique_job_that_invokes_itself_does_not_wait_for_itself() -> None:
    unique = Unique(by=BY_USER)
    runner = AttemptRunner(lambda ctx: ctx.invoke(define(lambda ctx: 1, unique=unique), Mail()))
    key, row = unique.key(Mail()), runner.ledger._store.rows[runner.job_id]
    keyed = replace(row, unique_key=key.key, unique_scope=key.scope)
    runner.ledger._store.rows[runner.job_id] = keyed

    runner.run()

    assert is_due(runner)
    assert runner.run() is not JobState.SUCCEEDED
    assert runner.job.error is not None
    assert runner.job.error.type.endswith("DuplicateDispatchError")


def test_a_debounced_job_cannot_be_invoked() -> None:
    quiet = Debounce(by=BY_USER, period=timedelta(seconds=1))

    with pytest.raises(HoldRequested, match="without debounce"):
        invoking(debounce=quiet)(AttemptRunner().context())


def test_a_dispatch_does_not_replace_what_an_invoked_job_works_on() -> None:
    app = MemoryApp()
    job = define(lambda ctx: 1, unique=Unique(by=()))
    child = child_job("somebody's", job, Mail(user_id=3))
    app.ledger.record_job(child, None)
    row = app.ledger._store.rows[child.id]
    app.ledger._store.rows[child.id] = replace(row, parent_id="a-parent")

    found = app.dispatcher.dispatch(job, Mail(user_id=4), on_duplicate="replace")

    assert (found.id, found.disposition) == (child.id, "existing")
    assert found.job().payload == '{"user_id":3}'


def test_a_retry_goes_on_with_the_job_that_was_invoked() -> None:
    runner = AttemptRunner(invokes)
    runner.run()
    child = child_of(runner)
    runner.ledger.conclude(runner.claim(), Conclusion(FAIL, error=ErrorRecord("KeyError", "seven")))
    again, _ = runner.ledger.retry(ManualRetry(runner.job_id, "ada"))
    runner.job_id = again.id

    waits = runner.run()
    end_child(runner, SUCCEED, result="42")

    assert waits is JobState.SCHEDULED
    assert child_of(runner).id == child.id
    assert runner.run() is JobState.SUCCEEDED
    assert runner.job.result == "42"
