"""What every worker process does besides."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.maintenance.stager import BATCH
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.states import JobState
from tests.unit.support.memory_app import House

HOUR = timedelta(hours=1)


def maintenance(house: House) -> Maintenance:
    return Maintenance(house.engines, house.stager, house.rescuer)


def test_one_look_probes_schedules_and_rescues() -> None:
    house = House()
    house.workers()
    due, lost = house.dispatch(delay=HOUR), house.dispatch()
    house.rq.drop_messages()
    house.engines.failed("dramatiq", "timed out")
    house.clock.advance(HOUR - timedelta(seconds=1))
    house.worker("rq")
    house.clock.advance(timedelta(seconds=1))

    maintenance(house).tick()

    assert (due.status(), lost.job().epoch) == (JobState.OFFERED, 2)
    assert house.engines.breaker("dramatiq").reason == "dramatiq is up"


def test_it_goes_on_while_a_full_batch_was_due() -> None:
    house = House()
    for _ in range(BATCH + 5):
        house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)

    maintenance(house).tick()

    assert house.ledger.counts() == {JobState.OFFERED: BATCH + 5}


def test_it_stops_when_the_worker_does() -> None:
    house = House()
    for _ in range(BATCH + 5):
        house.dispatch(delay=HOUR)
    house.clock.advance(HOUR)

    maintenance(house).tick(stopping=lambda: True)

    assert house.ledger.counts() == {JobState.OFFERED: BATCH, JobState.SCHEDULED: 5}


def test_a_ledger_that_is_away_is_told() -> None:
    house = House()
    house.ledger.down()

    with pytest.raises(LedgerUnavailableError):
        maintenance(house).tick()
