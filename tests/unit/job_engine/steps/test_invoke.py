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
from tests.unit.support.attempts import HOUR, Mail, Stage, define
from tests.unit.support.memory_app import House

ADD_UP = define(lambda ctx: 1, name="add-up")
BY_USER = ("user_id",)


def is_due(stage: Stage) -> bool:
    return stage.job_id in [job.id for job in stage.ledger.due(10)]


def invokes(ctx: JobContext) -> Any:
    return ctx.invoke(ADD_UP, Mail(user_id=3))


def child_of(stage: Stage) -> Any:
    (child,) = stage.ledger.list_jobs(name="add-up")
    return child


def end_child(stage: Stage, transition: Transition, **values: Any) -> None:
    child = stage.ledger.offer(child_of(stage), OfferPlan("rq", HOUR))
    assert child is not None
    shown = Ticket(child.id, child.epoch, "rq", child.queue, "c", "worker", HOUR)
    claim = stage.ledger.claim(shown)
    assert claim is not None
    stage.ledger.conclude(claim, Conclusion(transition, **values))


def test_a_job_invokes_another_and_gets_its_result() -> None:
    stage = Stage(invokes)
    first = stage.run()
    child = child_of(stage)

    end_child(stage, SUCCEED, result="42")

    assert (first, child.state, child.payload) == (
        JobState.SCHEDULED,
        JobState.SCHEDULED,
        '{"user_id":3}',
    )
    assert is_due(stage)
    assert stage.run() is JobState.SUCCEEDED
    assert stage.job.result == "42"


def test_the_other_job_is_dispatched_once() -> None:
    stage = Stage(invokes)

    assert [stage.run(), stage.run()] == [JobState.SCHEDULED] * 2
    assert len(stage.ledger.list_jobs(name="add-up")) == 1


def test_the_error_of_an_invoked_job_is_raised() -> None:
    seen: list[JobFailedError] = []

    def body(ctx: JobContext) -> str:
        try:
            invokes(ctx)
        except JobFailedError as error:
            seen.append(error)
        return "went on"

    stage = Stage(body)
    stage.run()
    end_child(stage, FAIL, error=ErrorRecord("KeyError", "'seven'", "Traceback ..."))

    assert stage.run() is JobState.SUCCEEDED
    assert (seen[0].error_type, seen[0].traceback) == ("KeyError", "Traceback ...")


def test_an_invoked_job_that_was_cancelled_has_no_result() -> None:
    stage = Stage(invokes)
    stage.run()
    stage.ledger.cancel(child_of(stage).id, "me")

    assert is_due(stage)
    with pytest.raises(JobCancelledError):
        invokes(stage.context())


def test_cancelling_a_job_cancels_the_one_it_invoked() -> None:
    stage = Stage(invokes)
    stage.run()

    stage.ledger.cancel(stage.job_id, "me")

    assert child_of(stage).state is JobState.CANCELLED


def test_jobs_invoke_one_another_only_so_deep() -> None:
    stage = Stage(invokes)
    row = stage.ledger._store.rows[stage.job_id]
    stage.ledger._store.rows[stage.job_id] = replace(row, depth=MAX_DEPTH)

    with pytest.raises(InvokeDepthError, match="at most 16 deep"):
        invokes(stage.context())


def test_an_invoked_job_is_one_deeper() -> None:
    stage = Stage(invokes)
    stage.run()

    assert stage.ledger._store.rows[child_of(stage).id].depth == 1


def invoking(**options: Any) -> Callable[[JobContext], Any]:
    """Return a body that invokes a job with these options."""
    job = define(lambda ctx: 1, name="add-up", **options)
    return lambda ctx: ctx.invoke(job, Mail(user_id=3))


def test_an_invoked_job_keeps_its_version_and_its_hook() -> None:
    alarm = declare_job("alarm", payload=JobFailure)
    stage = Stage(invoking(version=3, on_failure=alarm))
    stage.run()

    child = child_of(stage)

    hook = follow_ups_from(child.sequel or "").on_failure
    assert child.version == 3
    assert hook is not None
    assert hook.name == "alarm"


@pytest.mark.parametrize("identity", ["unique", "throttle"])
def test_a_job_whose_key_is_held_is_not_invoked_and_the_job_learns_it(identity: str) -> None:
    policies = {"unique": Unique(by=BY_USER), "throttle": Throttle(by=BY_USER, period=HOUR)}
    options = {identity: policies[identity]}
    stage = Stage(invoking(**options))
    held = child_job("somebody's", define(lambda ctx: 1, name="add-up", **options), Mail(user_id=3))
    stage.ledger.record_job(held, None)

    assert stage.run() is JobState.SCHEDULED
    assert is_due(stage)
    for _ in range(2):
        with pytest.raises(DuplicateDispatchError, match=held.id):
            invoking(**options)(stage.context())
    assert [job.id for job in stage.ledger.list_jobs(name="add-up")] == [held.id]


def test_a_unique_job_that_invokes_itself_does_not_wait_for_itself() -> None:
    unique = Unique(by=BY_USER)
    stage = Stage(lambda ctx: ctx.invoke(define(lambda ctx: 1, unique=unique), Mail()))
    key, row = unique.key(Mail()), stage.ledger._store.rows[stage.job_id]
    keyed = replace(row, unique_key=key.key, unique_scope=key.scope)
    stage.ledger._store.rows[stage.job_id] = keyed

    stage.run()

    assert is_due(stage)
    assert stage.run() is not JobState.SUCCEEDED
    assert stage.job.error is not None
    assert stage.job.error.type.endswith("DuplicateDispatchError")


def test_a_debounced_job_cannot_be_invoked() -> None:
    quiet = Debounce(by=BY_USER, period=timedelta(seconds=1))

    with pytest.raises(HoldRequested, match="without debounce"):
        invoking(debounce=quiet)(Stage().context())


def test_a_dispatch_does_not_replace_what_an_invoked_job_works_on() -> None:
    house = House()
    job = define(lambda ctx: 1, unique=Unique(by=()))
    child = child_job("somebody's", job, Mail(user_id=3))
    house.ledger.record_job(child, None)
    row = house.ledger._store.rows[child.id]
    house.ledger._store.rows[child.id] = replace(row, parent_id="a-parent")

    found = house.dispatcher.dispatch(job, Mail(user_id=4), on_duplicate="replace")

    assert (found.id, found.disposition) == (child.id, "existing")
    assert found.job().payload == '{"user_id":3}'


def test_a_retry_goes_on_with_the_job_that_was_invoked() -> None:
    stage = Stage(invokes)
    stage.run()
    child = child_of(stage)
    stage.ledger.conclude(stage.claim(), Conclusion(FAIL, error=ErrorRecord("KeyError", "seven")))
    again, _ = stage.ledger.retry(ManualRetry(stage.job_id, "ada"))
    stage.job_id = again.id

    waits = stage.run()
    end_child(stage, SUCCEED, result="42")

    assert waits is JobState.SCHEDULED
    assert child_of(stage).id == child.id
    assert stage.run() is JobState.SUCCEEDED
    assert stage.job.result == "42"
