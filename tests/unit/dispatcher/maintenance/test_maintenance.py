"""What every worker process does besides."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.maintenance.stager import BATCH
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import LedgerUnavailableError
from tests.unit.support.memory_app import MemoryApp

HOUR = timedelta(hours=1)


def maintenance(app: MemoryApp) -> Maintenance:
    return Maintenance(app.engines, app.stager, app.rescuer)


def test_one_look_probes_schedules_and_rescues() -> None:
    app = MemoryApp()
    app.workers()
    due, lost = app.dispatch(delay=HOUR), app.dispatch()
    app.rq.drop_messages()
    app.engines.failed("dramatiq", "timed out")
    app.clock.advance(HOUR - timedelta(seconds=1))
    app.worker("rq")
    app.clock.advance(timedelta(seconds=1))

    maintenance(app).tick()

    assert (due.status(), lost.job().epoch) == (JobState.OFFERED, 2)
    assert app.engines.breaker("dramatiq").reason == "dramatiq is up"


def test_it_goes_on_while_a_full_batch_was_due() -> None:
    app = MemoryApp()
    for _ in range(BATCH + 5):
        app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)

    maintenance(app).tick()

    assert app.ledger.counts() == {JobState.OFFERED: BATCH + 5}


def test_it_stops_when_the_worker_does() -> None:
    app = MemoryApp()
    for _ in range(BATCH + 5):
        app.dispatch(delay=HOUR)
    app.clock.advance(HOUR)

    maintenance(app).tick(stopping=lambda: True)

    assert app.ledger.counts() == {JobState.OFFERED: BATCH, JobState.SCHEDULED: 5}


def test_a_ledger_that_is_away_raises() -> None:
    app = MemoryApp()
    app.ledger.down()

    with pytest.raises(LedgerUnavailableError):
        maintenance(app).tick()
