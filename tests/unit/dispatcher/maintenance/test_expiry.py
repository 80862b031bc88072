"""`expires_at` and `expires_in`: a job that no attempt began in time is not begun any more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobExpiredError, OptionInvalidError
from tests.unit.support.memory_app import MemoryApp

MINUTE = timedelta(minutes=1)


@pytest.fixture
def app() -> MemoryApp:
    app = MemoryApp()
    app.workers()
    return app


def test_what_expired_in_the_queue_is_cancelled_with_an_event(app: MemoryApp) -> None:
    handle = app.dispatch(expires_in=MINUTE)
    app.clock.advance(MINUTE)

    assert app.work(app.rq) is None
    app.rescuer.tick()

    assert handle.status() is JobState.CANCELLED
    assert app.events.kinds[-1] == "job.expire"
    with pytest.raises(JobExpiredError, match="was not begun by"):
        handle.result()


def test_what_expired_before_it_was_due_is_never_offered(app: MemoryApp) -> None:
    handle = app.dispatch(delay=MINUTE, expires_in=2 * MINUTE)
    app.clock.advance(3 * MINUTE)

    app.rescuer.tick()
    app.stager.tick()

    assert handle.status() is JobState.CANCELLED
    assert not app.offered(app.rq)


def test_a_job_that_runs_is_not_stopped_by_its_expiry(app: MemoryApp) -> None:
    handle = app.dispatch(expires_at=app.clock.now() + MINUTE)
    claim = app.work(app.rq)
    assert claim is not None
    app.clock.advance(2 * MINUTE)

    app.rescuer.tick()
    app.finish(claim)

    assert handle.status() is JobState.SUCCEEDED


def test_a_job_that_was_cancelled_by_hand_has_not_expired(app: MemoryApp) -> None:
    handle = app.dispatch(expires_in=MINUTE)

    handle.cancel()

    assert not handle.job().has_expired


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"expires_at": datetime(2999, 1, 1)}, "with a time zone"),  # noqa: DTZ001 - the point
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "in the future"),
        ({"expires_in": timedelta(0)}, "above zero"),
        ({"expires_in": -MINUTE}, "above zero"),
        ({"expires_in": MINUTE, "delay": MINUTE}, "after the job's time"),
        ({"expires_in": MINUTE, "run_at": datetime(2999, 1, 1, tzinfo=UTC)}, "after the job's"),
        ({"expires_in": MINUTE, "expires_at": datetime(2999, 1, 1, tzinfo=UTC)}, "got both"),
    ],
)
def test_an_expiry_that_makes_no_sense_is_refused(
    app: MemoryApp, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(OptionInvalidError, match=expected):
        app.dispatch(**options)

    assert not app.ledger.counts()
