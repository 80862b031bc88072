"""What a dispatch gives back."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState, declare_job
from failsoft.job_engine.errors import (
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    ResultTimeoutError,
)
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import CancelOutcome, Claim, Conclusion
from failsoft.job_engine.records.states import FAIL
from tests.unit.support.attempts import RETRY, Mail
from tests.unit.support.memory_app import MemoryApp

ERROR = ErrorRecord("ValueError", "no such user", "Traceback ...")


class Receipt(BaseModel):
    number: int
    at: datetime


RECEIPT = Receipt(number=7, at=datetime(2026, 1, 1, tzinfo=UTC))
BILL = declare_job("bill", payload=Mail, result=Receipt, retry=RETRY)


def dispatched(app: MemoryApp) -> tuple[JobHandle[Receipt], Claim]:
    handle = app.dispatcher.dispatch(BILL, Mail())
    claim = app.work(app.rq)
    assert claim is not None
    return handle, claim


def test_a_handle_returns_the_present_state() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    assert handle.status() is JobState.OFFERED

    app.work(app.rq)

    assert handle.status() is JobState.RUNNING
    assert handle.dispatched.state is JobState.OFFERED


def test_a_result_comes_back_in_its_type() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    app.finish(claim, RECEIPT.model_dump_json())

    assert handle.result() == RECEIPT


def test_a_result_is_waited_for() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    sleep = app.clock.sleep

    def finished_meanwhile(seconds: float) -> None:
        sleep(seconds)
        if app.clock.steady() > 3:
            app.finish(claim, RECEIPT.model_dump_json())

    app.clock.sleep = finished_meanwhile  # type: ignore[method-assign]

    assert handle.result(timeout=timedelta(seconds=10)) == RECEIPT


def test_a_result_is_waited_for_so_long_and_no_longer() -> None:
    app = MemoryApp()
    handle, _ = dispatched(app)

    with pytest.raises(ResultTimeoutError, match=f"job {handle.id} to end within 0:00:10.*running"):
        handle.result(timeout=timedelta(seconds=10))

    assert sum(app.clock.slept) == pytest.approx(10)
    assert max(app.clock.slept) <= 0.25


def test_a_result_that_is_not_there_may_be_read_without_waiting() -> None:
    app = MemoryApp()

    with pytest.raises(ResultTimeoutError):
        app.dispatch().result(timeout=timedelta(0))

    assert app.clock.slept == []


def test_a_failed_job_raises_what_was_recorded() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    app.ledger.conclude(claim, Conclusion(FAIL, error=ERROR))

    with pytest.raises(JobFailedError, match="failed with ValueError: no such user") as caught:
        handle.result()

    assert (caught.value.job_id, caught.value.error_type) == (handle.id, "ValueError")
    assert caught.value.traceback == ERROR.traceback


def test_a_job_that_failed_without_an_error_says_so() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    app.ledger.conclude(claim, Conclusion(FAIL))

    with pytest.raises(JobFailedError, match="no error was recorded"):
        handle.result()


def test_a_cancelled_job_has_no_result() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    handle.cancel()

    with pytest.raises(JobCancelledError, match=handle.id):
        handle.result()


def test_a_job_that_waits_is_cancelled_at_once() -> None:
    handle = MemoryApp().dispatch(delay=timedelta(hours=1))

    assert handle.cancel() is CancelOutcome.CANCELLED
    assert handle.status() is JobState.CANCELLED


def test_a_job_that_runs_is_requested_to_stop() -> None:
    app = MemoryApp()
    handle, _ = dispatched(app)

    assert handle.cancel() is CancelOutcome.REQUESTED
    assert handle.job().cancel_requested


def test_a_job_that_has_ended_cannot_be_cancelled() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    app.finish(claim, RECEIPT.model_dump_json())

    assert handle.cancel() is CancelOutcome.ENDED
    assert handle.status() is JobState.SUCCEEDED


def test_a_handle_explains_its_dispatch() -> None:
    app = MemoryApp()
    app.rq.down()

    tries = app.dispatch().tries()

    assert [each.engine for each in tries] == ["rq", "dramatiq"]


def test_a_handle_of_a_job_that_was_pruned_says_so() -> None:
    app = MemoryApp()
    handle = app.dispatch()
    app.ledger._store.rows.clear()

    with pytest.raises(JobNotFoundError, match=handle.id):
        handle.status()


def test_a_handle_shows_its_job() -> None:
    handle = MemoryApp().dispatch(job_id="welcome-7")

    assert repr(handle) == "JobHandle('welcome', 'welcome-7')"
