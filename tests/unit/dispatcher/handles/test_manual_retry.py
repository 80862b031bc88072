"""Ended work is done again as a new job; what is paused waits."""

from datetime import timedelta
from typing import Any

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobContext, JobState, declare_job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.errors import (
    JobNotFoundError,
    JobStateError,
    OptionInvalidError,
    PayloadInvalidError,
)
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.manual_retry import DeadLetters
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import FAIL
from failsoft.testing.ledger_suite.control.retries import failed as failed_with_steps
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import MemoryApp

COUNT = declare_job("count", payload=Mail, result=int)
ERROR = ErrorRecord("ValueError", "no such user", "Traceback ...")


class Other(Mail):
    pass


def failed(app: MemoryApp) -> JobHandle[int]:
    handle = app.dispatcher.dispatch(COUNT, Mail())
    claim = app.claim(handle.job())
    assert claim is not None
    app.ledger.conclude(claim, Conclusion(FAIL, error=ERROR))
    return handle


def test_a_retry_has_a_handle_of_its_own_and_runs() -> None:
    app = MemoryApp()
    handle = failed(app)

    again = handle.retry(reason="fixed", actor="ada")
    app.stager.tick()
    claim = app.claim(again.job())
    assert claim is not None
    app.finish(claim, "7")

    assert again.id != handle.id
    assert again.result() == 7
    assert handle.status() is JobState.FAILED
    assert handle.retry().id == again.id


def test_another_payload_is_of_the_jobs_model() -> None:
    app = MemoryApp()
    handle = failed(app)

    edited = handle.retry(payload=Mail(user_id=8))

    assert edited.job().payload == '{"user_id":8}'
    with pytest.raises(PayloadInvalidError):
        handle.retry(payload=define(lambda ctx: None))  # type: ignore[arg-type]
    with pytest.raises(OptionInvalidError, match="got both"):
        handle.retry(payload=Mail(), from_step="fetch")


def test_a_job_that_has_not_failed_is_not_tried_again() -> None:
    app = MemoryApp()
    handle = app.dispatcher.dispatch(COUNT, Mail())

    with pytest.raises(JobStateError, match=r"expected a failed job to retry.*which is offered"):
        handle.retry()


def test_idempotency_keys_go_on_with_a_retry_and_not_with_a_replay() -> None:
    app = MemoryApp()
    old = failed_with_steps(app.ledger)
    retried = app.dispatcher.retry(old.job_id)
    replayed = app.dispatcher.retry(old.job_id, from_step="fetch")
    app.stager.tick()

    keys = [key_in(app, app.ledger.get(job.id)) for job in (retried, replayed)]

    assert keys == [f"{old.job_id}:charge", f"{replayed.id}:charge"]


def key_in(app: MemoryApp, job: Any) -> str:
    claim = app.claim(job)
    assert claim is not None
    return JobContext(claim, app.ledger, Lease(), app.clock).idempotency_key("charge")


def test_many_are_tried_again_once_each() -> None:
    app = MemoryApp()
    handles = [failed(app) for _ in range(5)]

    first = app.dispatcher.retry_many(name="count", limit=2)
    rest = app.dispatcher.retry_many(queue="default", since=timedelta(hours=1))
    none = app.dispatcher.retry_many()

    retried = [old for old, _ in (*first.retried, *rest.retried)]
    assert sorted(retried) == sorted(handle.id for handle in handles)
    assert (len(first.retried), none.retried, none.skipped) == (2, (), ())


def test_what_fails_again_meanwhile_is_not_tried_twice() -> None:
    app = MemoryApp()
    failed(app)
    retry = app.ledger.retry

    def fails_at_once(retrial: Any) -> Any:
        job, created = retry(retrial)
        app.stager.tick()
        claim = app.claim(app.ledger.get(job.id))
        assert claim is not None
        app.ledger.conclude(claim, Conclusion(FAIL, error=ERROR))
        return job, created

    app.ledger.retry = fails_at_once  # type: ignore[method-assign]

    assert len(app.dispatcher.retry_many().retried) == 1


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"since": timedelta(0)}])
def test_a_choice_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionInvalidError, match="retry: expected a"):
        DeadLetters(**wrong)


def test_a_handle_is_found_by_the_id() -> None:
    app = MemoryApp()
    handle = failed(app)

    found = app.dispatcher.handle(COUNT, handle.id)

    assert (found.id, found.created) == (handle.id, False)
    with pytest.raises(JobNotFoundError, match=r"a job of definition 'welcome'.*'count'"):
        app.dispatcher.handle(define(lambda ctx: None), handle.id)
    with pytest.raises(JobNotFoundError):
        app.dispatcher.handle(COUNT, "unknown")


def test_a_dispatch_to_a_paused_queue_waits_until_it_is_resumed() -> None:
    app = MemoryApp()
    app.dispatcher.pause("queue", "default", reason="the bank is closed", actor="ada")

    handle = app.dispatch()
    app.stager.tick()

    assert handle.status() is JobState.SCHEDULED
    assert str(handle.paused()) == "queue default paused by ada: the bank is closed"
    assert app.offered(app.rq) == []
    assert app.dispatcher.unpause("queue", "default")
    app.stager.tick()
    assert handle.status() is JobState.OFFERED
    assert handle.paused() is None


def test_a_process_heeds_its_own_pause_and_its_end_at_once() -> None:
    app = MemoryApp()
    states = [app.dispatch().status()]

    app.dispatcher.pause("job", "welcome")
    states.append(app.dispatch().status())
    app.dispatcher.unpause("job", "welcome")
    states.append(app.dispatch().status())

    assert states == [JobState.OFFERED, JobState.SCHEDULED, JobState.OFFERED]


def test_an_offer_that_was_out_is_set_aside_and_is_due_after_the_pause() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    app.dispatcher.pause("job", "welcome")
    assert app.work(app.rq) is None

    app.clock.advance(timedelta(hours=1))
    app.rescuer.tick()
    app.stager.tick()

    assert handle.status() is JobState.SCHEDULED
    assert "job.park" in app.events.kinds
    app.dispatcher.unpause("job", "welcome")
    app.stager.tick()
    assert handle.status() is JobState.OFFERED


@pytest.mark.parametrize(("kind", "name"), [("worker", "w"), ("queue", ""), ("job", "j" * 129)])
def test_only_a_queue_or_a_job_is_paused(kind: Any, name: str) -> None:
    with pytest.raises(OptionInvalidError, match="pause: expected"):
        Pause(kind, name, "ada")
