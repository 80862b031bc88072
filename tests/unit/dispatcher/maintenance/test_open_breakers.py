"""The breakers that a process lets the ledger know."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.activity import AGAIN_SECONDS, ActivityNotes
from failsoft.job_engine.errors import LedgerUnavailableError
from tests.unit.support.memory_app import MemoryApp

LONG = timedelta(days=1)


@pytest.fixture
def app() -> MemoryApp:
    return MemoryApp()


@pytest.fixture
def notes(app: MemoryApp) -> ActivityNotes:
    return ActivityNotes(app.ledger, app.engines, app.clock)


def test_an_open_breaker_is_noted_with_its_reason(app: MemoryApp, notes: ActivityNotes) -> None:
    app.engines.failed("rq", "timed out")
    notes.note_breakers()

    assert [(each.engine, each.reason) for each in app.ledger.breakers(LONG)] == [
        ("rq", "timed out")
    ]


def test_it_is_noted_again_so_that_it_is_fresh(app: MemoryApp, notes: ActivityNotes) -> None:
    app.engines.failed("rq", "timed out")
    notes.note_breakers()
    app.clock.advance(timedelta(seconds=AGAIN_SECONDS))
    fresh = timedelta(seconds=1)
    assert not app.ledger.breakers(fresh)

    notes.note_breakers()

    assert len(app.ledger.breakers(fresh)) == 1


def test_what_a_ledger_that_was_away_has_not_is_noted_later(
    app: MemoryApp, notes: ActivityNotes
) -> None:
    app.engines.failed("rq", "timed out")
    app.ledger.down()
    with pytest.raises(LedgerUnavailableError):
        notes.note_breakers()
    app.ledger.up()

    notes.note_breakers()

    assert len(app.ledger.breakers(LONG)) == 1
