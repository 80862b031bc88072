"""`expires_at` and `expires_in`: a job that nobody began in time is not begun any more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from failsoft.job_engine.errors import JobExpiredError, OptionInvalidError
from failsoft.job_engine.records.states import JobState
from tests.unit.support.memory_app import House

MINUTE = timedelta(minutes=1)


@pytest.fixture
def house() -> House:
    house = House()
    house.workers()
    return house


def test_what_expired_in_the_queue_is_cancelled_and_told(house: House) -> None:
    handle = house.dispatch(expires_in=MINUTE)
    house.clock.advance(MINUTE)

    assert house.work(house.rq) is None
    house.rescuer.tick()

    assert handle.status() is JobState.CANCELLED
    assert house.heard.kinds[-1] == "job.expire"
    with pytest.raises(JobExpiredError, match="was not begun by"):
        handle.result()


def test_what_expired_before_it_was_due_is_never_offered(house: House) -> None:
    handle = house.dispatch(delay=MINUTE, expires_in=2 * MINUTE)
    house.clock.advance(3 * MINUTE)

    house.rescuer.tick()
    house.stager.tick()

    assert handle.status() is JobState.CANCELLED
    assert not house.offered(house.rq)


def test_a_job_that_runs_is_not_stopped_by_its_expiry(house: House) -> None:
    handle = house.dispatch(expires_at=house.clock.now() + MINUTE)
    claim = house.work(house.rq)
    assert claim is not None
    house.clock.advance(2 * MINUTE)

    house.rescuer.tick()
    house.finish(claim)

    assert handle.status() is JobState.SUCCEEDED


def test_a_job_that_was_cancelled_by_hand_has_not_expired(house: House) -> None:
    handle = house.dispatch(expires_in=MINUTE)

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
    house: House, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(OptionInvalidError, match=expected):
        house.dispatch(**options)

    assert not house.ledger.counts()
